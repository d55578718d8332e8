package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxProxyHead is the maximum size of a response to CONNECT in bytes.
const maxProxyHead = 64 << 10

// proxy returns the proxy to use, or nil.
func (c *Conn) proxy(header http.Header) (*url.URL, error) {
	// Proxy functions, such as that of net/http, know http and https.
	target := *c.address
	target.Scheme = map[string]string{"ws": "http", "wss": "https"}[target.Scheme]
	proxy, err := c.options.Proxy(&http.Request{Method: http.MethodGet, URL: &target, Host: target.Host, Header: header})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrProxy, err)
	case proxy == nil:
		return nil, nil
	case proxy.Scheme != "http" && proxy.Scheme != "https":
		return nil, fmt.Errorf("%w, got %q", errScheme, proxy.Scheme)
	}
	return proxy, nil
}

// throughProxy returns a function that dials through a proxy with CONNECT (RFC
// 9110 section 9.3.6), for ws and wss alike: a proxy that forwards requests
// would drop the upgrade.
func (c *Conn) throughProxy(proxy *url.URL) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		port := proxy.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
		}
		socket, err := c.options.DialContext(ctx, network, net.JoinHostPort(proxy.Hostname(), port))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProxy, err)
		}
		if proxy.Scheme == "https" {
			config := c.tls()
			config.ServerName = proxy.Hostname()
			socket = tls.Client(socket, config)
		}
		stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
		err = connect(socket, proxy, address)
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = socket.Close()
			return nil, fmt.Errorf("%w: %w", ErrProxy, err)
		}
		return socket, nil
	}
}

// connect asks the proxy to connect to the address.
func connect(socket net.Conn, proxy *url.URL, address string) error {
	request := &http.Request{
		Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: make(http.Header),
	}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", basicAuth(user.Username(), password))
	}
	var head bytes.Buffer
	if err := request.Write(&head); err != nil {
		return err
	}
	if _, err := socket.Write(head.Bytes()); err != nil {
		return err
	}
	// Read single bytes: those after the response belong to the server.
	limited := io.LimitReader(&byteReader{socket}, maxProxyHead)
	response, err := http.ReadResponse(bufio.NewReaderSize(limited, 16), request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("CONNECT answered with status %d", response.StatusCode)
	}
	return nil
}

// byteReader never reads ahead.
type byteReader struct{ reader io.Reader }

// Read implements io.Reader.
func (r *byteReader) Read(p []byte) (int, error) {
	if len(p) > 1 {
		p = p[:1]
	}
	return r.reader.Read(p)
}
