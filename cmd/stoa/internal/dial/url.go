package dial

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// defaultEndpoint is the path for a URL without one, and that of "stoa serve".
const defaultEndpoint = "/ws"

// URLForms is the help on the argument URL.
const URLForms = `URL is ws://host:port/path, or wss://... for TLS. http and https mean the same, and
host:port alone means ws. The default path is /ws. A user and password in the URL are
sent as basic authentication. Proxies come from the environment (HTTP_PROXY,
HTTPS_PROXY, NO_PROXY).`

// schemes maps the accepted schemes to those of WebSockets.
var schemes = map[string]string{"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

// parseURL parses the URL of a server. Its errors never quote a password.
func parseURL(text string) (*url.URL, error) {
	full := text
	if !strings.Contains(text, "://") {
		full = "ws://" + text
	}
	parsed, err := url.Parse(full)
	if err != nil {
		return nil, syntaxError(text, err)
	}
	scheme, known := schemes[strings.ToLower(parsed.Scheme)]
	switch {
	case !known:
		return nil, fmt.Errorf("URL: scheme %q: want ws, wss, http or https", parsed.Scheme)
	case parsed.Hostname() == "":
		return nil, errors.New("URL: no host; want ws://host:port/path")
	case parsed.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("URL: a WebSocket has no fragment (the part after #)")
	}
	parsed.Scheme = scheme
	if parsed.Path == "" || parsed.Path == "/" {
		parsed.Path, parsed.RawPath = defaultEndpoint, ""
	}
	return parsed, nil
}

// syntaxError omits the cause if it may quote a part of a password.
func syntaxError(text string, err error) error {
	var syntax *url.Error
	if strings.Contains(text, "@") || !errors.As(err, &syntax) {
		return errors.New("URL: not valid; want ws://host:port/path")
	}
	return fmt.Errorf("URL: %w; want ws://host:port/path", syntax.Err)
}

// withoutSecrets returns the URL without its user, password and parameters.
func withoutSecrets(full *url.URL) string {
	return (&url.URL{Scheme: full.Scheme, Host: full.Host, Path: full.Path}).String()
}
