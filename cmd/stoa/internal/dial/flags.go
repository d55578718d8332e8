package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/internal/certwatch"
)

// Flags are the flags of every client command.
type Flags struct {
	Timeout     time.Duration // of connecting, and of each answer
	memberships membershipFlags
	headers     []string
	tokenFile   string
	insecure    bool
	ca          string
}

const (
	headerFlag   = "header"
	tokenFlag    = "token-file"
	insecureFlag = "insecure"
	caFlag       = "ca"
	timeoutFlag  = "timeout"
)

// Register adds the flags to a set.
func (f *Flags) Register(set *pflag.FlagSet) {
	set.SortFlags = false
	f.memberships.register(set)
	set.StringArrayVar(&f.headers, headerFlag, nil,
		"`\"Name: value\"` to send with the upgrade request; repeatable")
	set.StringVar(&f.tokenFile, tokenFlag, "",
		"`file` with a token or an API key, sent as \"Authorization: Bearer\"")
	set.BoolVar(&f.insecure, insecureFlag, false,
		"do not verify the server's certificate")
	set.StringVar(&f.ca, caFlag, "",
		"PEM `file` with the CA certificates for the server, in place of the system's")
	set.DurationVar(&f.Timeout, timeoutFlag, 10*time.Second,
		"maximum time for connecting, and for each answer")
}

// Resolve combines the flags and the URL. It writes warnings to stderr.
func (f *Flags) Resolve(text string, stderr io.Writer) (Request, error) {
	target, targetErr := parseURL(text)
	header, headerErr := parseHeaders(f.headers)
	if headerErr == nil {
		headerErr = f.addToken(header)
	}
	authorities, caErr := f.readAuthorities()
	var timeoutErr error
	if f.Timeout <= 0 {
		timeoutErr = fmt.Errorf("--%s %v: want more than 0", timeoutFlag, f.Timeout)
	}
	if err := errors.Join(targetErr, headerErr, caErr, timeoutErr); err != nil {
		return Request{}, err
	}
	if f.insecure && target.Scheme == "wss" {
		fmt.Fprintf(stderr, "stoa: warning: --%s: the server is not authenticated; others may read and change the traffic\n", insecureFlag)
	}
	return Request{
		URL: target,
		Options: client.Options{
			Header:      header,
			TLS:         &tls.Config{RootCAs: authorities, InsecureSkipVerify: f.insecure},
			DialTimeout: f.Timeout,
			AskTimeout:  f.Timeout,
			// A server may connect its clients to other namespaces.
			DefaultNamespace: &client.Namespace{},
			MessageLimit:     -1, // the server decides
		},
		Memberships: f.memberships.resolve(),
	}, nil
}

// readAuthorities returns nil, for the system's, if there is no file.
func (f *Flags) readAuthorities() (*x509.CertPool, error) {
	if f.ca == "" {
		return nil, nil
	}
	authorities, err := certwatch.ReadAuthorities(f.ca)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", caFlag, err)
	}
	return authorities, nil
}

// parseHeaders splits each line at the first colon. Errors never quote a value,
// which may be secret.
func parseHeaders(lines []string) (http.Header, error) {
	header := make(http.Header)
	for i, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !found || name == "" || strings.ContainsFunc(name, notToken) {
			return nil, fmt.Errorf("--%s: number %d: want \"Name: value\"", headerFlag, i+1)
		}
		value = strings.TrimSpace(value)
		if strings.ContainsFunc(value, notFieldValue) {
			return nil, fmt.Errorf("--%s: %s: the value contains a control character", headerFlag, name)
		}
		header.Add(name, value)
	}
	return header, nil
}

// maxTokenFile is how much of a file with a token is read, in bytes: more than
// the header fields of a request may have.
const maxTokenFile = 2 << 20

// addToken adds the token of the file, which the arguments of the process would
// show to all users of the machine. Errors never quote it.
func (f *Flags) addToken(header http.Header) error {
	if f.tokenFile == "" {
		return nil
	}
	if header.Get("Authorization") != "" {
		return fmt.Errorf("--%s: --%s already sets Authorization", tokenFlag, headerFlag)
	}
	file, err := os.Open(f.tokenFile) // it may be a pipe
	if err != nil {
		return fmt.Errorf("--%s: %w", tokenFlag, err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxTokenFile))
	if err != nil {
		return fmt.Errorf("--%s: %w", tokenFlag, err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsFunc(token, notInToken) {
		return fmt.Errorf("--%s: %s: want one token and nothing else", tokenFlag, f.tokenFile)
	}
	header.Set("Authorization", "Bearer "+token)
	return nil
}

// notInToken reports whether a bearer token may not contain r (RFC 6750 section
// 2.1).
func notInToken(r rune) bool { return r <= ' ' || r >= 0x7f }

// notToken reports whether the name of a header may not contain r (RFC 9110
// section 5.6.2).
func notToken(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// notFieldValue reports whether the value of a header may not contain r (RFC
// 9110 section 5.5).
func notFieldValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
