package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// defaultEndpoint is the path of a URL that has none: where stoa serve listens.
const defaultEndpoint = "/ws"

// urlForms belongs into the help of all commands that take a URL.
const urlForms = `The URL is ws://host:port/path, or wss for TLS; http and https mean the same, and host:port
alone is ws. Without a path it is /ws. A user and a password in it are sent as basic
authentication. Proxies are those of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).`

// schemes are those that a URL may have, with what is dialled.
var schemes = map[string]string{"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

// parseTarget reads the URL of a server. Its errors show nothing that may be a
// password.
func parseTarget(text string) (*url.URL, error) {
	full := text
	if !strings.Contains(text, "://") {
		full = "ws://" + text
	}
	target, err := url.Parse(full)
	if err != nil {
		return nil, targetError(text, err)
	}
	scheme, known := schemes[strings.ToLower(target.Scheme)]
	switch {
	case !known:
		return nil, fmt.Errorf("URL: scheme %q: want ws, wss, http or https", target.Scheme)
	case target.Hostname() == "":
		return nil, errors.New("URL: there is no host in it; want ws://host:port/path")
	case target.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("URL: a WebSocket has no fragment (what follows #)")
	}
	target.Scheme = scheme
	if target.Path == "" || target.Path == "/" {
		target.Path, target.RawPath = defaultEndpoint, ""
	}
	return target, nil
}

// targetError leaves the cause out where it may quote a part of a password.
func targetError(text string, err error) error {
	var syntax *url.Error
	if strings.Contains(text, "@") || !errors.As(err, &syntax) {
		return errors.New("URL: not valid; want ws://host:port/path")
	}
	return fmt.Errorf("URL: %w; want ws://host:port/path", syntax.Err)
}

// shownTarget is the URL without what may be secret.
func shownTarget(target *url.URL) string {
	return (&url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path}).String()
}
