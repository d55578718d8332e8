package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/client"
)

// clientFlags are those of the commands that are clients.
type clientFlags struct {
	places   placeFlags
	headers  []string
	insecure bool
	ca       string
	timeout  time.Duration
}

const (
	headerFlag   = "header"
	insecureFlag = "insecure"
	caFlag       = "ca"
	timeoutFlag  = "timeout"
)

func (f *clientFlags) register(set *pflag.FlagSet) {
	set.SortFlags = false
	f.places.register(set)
	set.StringArrayVar(&f.headers, headerFlag, nil,
		"`\"Name: value\"` to send with the upgrade request; repeatable")
	set.BoolVar(&f.insecure, insecureFlag, false,
		"do not check the server's certificate")
	set.StringVar(&f.ca, caFlag, "",
		"PEM `file` of the authorities that may vouch for the server, instead of the system's")
	set.DurationVar(&f.timeout, timeoutFlag, 10*time.Second,
		"how long connecting, and then each answer, may take")
}

// dialling is what package client is given.
type dialling struct {
	target  *url.URL
	options client.Options
	named   []namedPlaces
}

// resolve checks the flags and the URL. What the user should think about is written to
// stderr.
func (f *clientFlags) resolve(text string, stderr io.Writer) (dialling, error) {
	target, targetErr := parseTarget(text)
	header, headerErr := parseHeaders(f.headers)
	authorities, caErr := readAuthorities(f.ca)
	var timeoutErr error
	if f.timeout <= 0 {
		timeoutErr = fmt.Errorf("--%s %v: want more than 0", timeoutFlag, f.timeout)
	}
	if err := errors.Join(targetErr, headerErr, caErr, timeoutErr); err != nil {
		return dialling{}, err
	}
	if f.insecure && target.Scheme == "wss" {
		fmt.Fprintf(stderr, "stoa: warning: --%s: anybody on the way can read and change what is sent\n", insecureFlag)
	}
	return dialling{
		target: target,
		options: client.Options{
			Header:      header,
			TLS:         &tls.Config{RootCAs: authorities, InsecureSkipVerify: f.insecure},
			DialTimeout: f.timeout,
			AskTimeout:  f.timeout,
			// A server may bring its clients into namespaces by itself.
			DefaultHandlers: &client.Handlers{},
		},
		named: f.places.resolve(),
	}, nil
}

// parseHeaders splits at the first colon. Values may be secret, so errors show none.
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
			return nil, fmt.Errorf("--%s: %s: the value has a control character in it", headerFlag, name)
		}
		header.Add(name, value)
	}
	return header, nil
}

// notToken is true for what a header's name may not have (RFC 9110 section 5.6.2).
func notToken(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// notFieldValue is true for what would end a header or be misread in it (RFC 9110
// section 5.5).
func notFieldValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// readAuthorities returns nil, which means the system's, if there is no file.
func readAuthorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", caFlag, err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--%s %q: no certificate in PEM form", caFlag, path)
	}
	return authorities, nil
}
