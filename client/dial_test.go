package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
)

// mount serves a node behind net/http, whose test server brings certificates.
func mount(tb testing.TB, declare func(*node.Node), start func(*httptest.Server)) *httptest.Server {
	tb.Helper()
	n, err := node.New(node.Config{Loops: 1, Endpoint: "*", Namespaces: map[string]node.NamespaceOptions{"default": {Relay: node.RelayRooms}}})
	if err != nil {
		tb.Fatal(err)
	}
	if declare != nil {
		declare(n)
	}
	if err := n.Start(); err != nil {
		tb.Fatal(err)
	}
	s := httptest.NewUnstartedServer(n)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(s)
	tb.Cleanup(func() { _ = n.Close(); s.Close() })
	return s
}

func TestTLS(t *testing.T) {
	s := mount(t, echo, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	good := client.Options{TLS: &tls.Config{RootCAs: pool}}
	for _, address := range []string{s.URL, "wss" + strings.TrimPrefix(s.URL, "https") + "/any?q=1"} {
		conn := dial(t, address, good)
		ns, err := conn.Connect(background(t), "default")
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := ns.Ask(background(t), "echo", []byte(strings.Repeat("x", 60_000))); err != nil || len(answer.Body) != 60_000 {
			t.Errorf("%s: an answer of %d bytes, %v", address, len(answer.Body), err)
		}
	}
	_, err := client.Dial(background(t), s.URL, client.Options{Reconnect: quick})
	var certificate *tls.CertificateVerificationError
	if !errors.As(err, &certificate) {
		t.Errorf("a certificate of an unknown authority: %v", err)
	}
}

func TestHeadersAndAuthentication(t *testing.T) {
	headers := make(chan http.Header, 10)
	n, stop := startNode(t, "", func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			header := a.Request.Header.Clone()
			header.Set("Host", a.Request.Host)
			headers <- header
			return nil
		})
	})
	states := newStates()
	var calls atomic.Int32
	o := client.Options{
		OnState: states.hear,
		Header:  http.Header{"X-Team": {"blue"}, "Host": {"chat.example.com"}, "Authorization": {"old"}},
		Authenticate: func(context.Context) (http.Header, error) {
			return http.Header{"authorization": {fmt.Sprint("token ", calls.Add(1))}}, nil
		},
	}
	dial(t, urlOf(n), o)
	got := receive(t, "the request", headers)
	if got.Get("X-Team") != "blue" || got.Get("Host") != "chat.example.com" || got.Get("Authorization") != "token 1" {
		t.Errorf("the request has %v", got)
	}
	stop()
	states.await(t, client.StateReconnecting)
	startNode(t, n.Addr().String(), func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			headers <- a.Request.Header.Clone()
			return nil
		})
	})
	got = receive(t, "the second request", headers)
	if got.Get("Authorization") == "token 1" || got.Get("X-Websocket-Reconnect") == "" {
		t.Errorf("the second request has %v, want another token and the number of the attempt", got)
	}
}

func TestUserInfoOfTheAddress(t *testing.T) {
	users := make(chan string, 1)
	s := mount(t, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			name, password, _ := a.Request.BasicAuth()
			users <- name + " " + password
			return nil
		})
	}, (*httptest.Server).Start)
	dial(t, strings.Replace(s.URL, "http://", "ws://ann:secret@", 1), client.Options{})
	if user := receive(t, "the user", users); user != "ann secret" {
		t.Errorf("the user is %q", user)
	}
}

func TestAuthenticateThatFails(t *testing.T) {
	n, _ := startNode(t, "", nil)
	var calls atomic.Int32
	dial(t, urlOf(n), client.Options{Authenticate: func(context.Context) (http.Header, error) {
		switch calls.Add(1) {
		case 1:
			return nil, errors.New("the token service is unreachable")
		case 2:
			panic("secret")
		}
		return nil, nil
	}})
	if calls.Load() != 3 {
		t.Errorf("Authenticate was called %d times, want 3", calls.Load())
	}
	_, err := client.Dial(background(t), urlOf(n), client.Options{Authenticate: func(context.Context) (http.Header, error) {
		return nil, fmt.Errorf("logged out: %w", client.ErrRefused)
	}})
	if !errors.Is(err, client.ErrRefused) {
		t.Errorf("Dial: %v, want %v", err, client.ErrRefused)
	}
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	_, err = client.Dial(ctx, urlOf(n), client.Options{Authenticate: func(context.Context) (http.Header, error) {
		cancel()
		<-release // it does not look at its context
		return nil, nil
	}})
	close(release)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v, want %v", err, context.Canceled)
	}
}

func TestHTTPStatus(t *testing.T) {
	tests := []struct {
		status int
		final  bool
	}{
		{200, true}, {301, true}, {400, true}, {401, true}, {403, true}, {404, true}, {410, true},
		{408, false}, {425, false}, {429, false}, {500, false}, {502, false}, {503, false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			var calls atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, "because")
			}))
			defer s.Close()
			reconnect := quick
			reconnect.Attempts = 3
			_, err := client.Dial(background(t), s.URL, client.Options{Reconnect: reconnect})
			var refused *client.RefusedError
			if !errors.As(err, &refused) || refused.Status != test.status || !strings.HasPrefix("because", refused.Text) {
				t.Errorf("Dial: %v, want the status and the text", err)
			}
			want := int32(3)
			if test.final {
				want = 1
			}
			if calls.Load() != want || errors.Is(err, client.ErrGaveUp) == test.final {
				t.Errorf("%d attempts and %v, want %d", calls.Load(), err, want)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	tests := []struct {
		name    string
		address string
		options client.Options
	}{
		{"no URL", "://", client.Options{}},
		{"another scheme", "ftp://localhost", client.Options{}},
		{"no host", "ws:///ws", client.Options{}},
		{"a field of the handshake", "ws://localhost", client.Options{Header: http.Header{"upgrade": {"h2c"}}}},
		{"a negative delay", "ws://localhost", client.Options{Reconnect: client.Reconnect{Base: -1}}},
		{"a policy that does not exist", "ws://localhost", client.Options{Buffer: client.Buffer{Policy: 9}}},
		{"nil handlers", "ws://localhost", in("n", nil)},
	}
	for _, test := range tests {
		if _, err := client.Dial(background(t), test.address, test.options); !errors.Is(err, client.ErrOptions) {
			t.Errorf("%s: %v, want %v", test.name, err, client.ErrOptions)
		}
	}
}

func TestDialUntilItsContextEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "ws://" + listener.Addr().String()
	_ = listener.Close()
	ctx, cancel := context.WithCancel(context.Background())
	states := newStates()
	failed := make(chan error, 1)
	go func() {
		_, err := client.Dial(ctx, address, client.Options{Reconnect: quick, OnState: states.hear})
		failed <- err
	}()
	for want := 2; want < 5; want++ {
		if tr := states.await(t, client.StateConnecting); tr.Attempt != want || tr.Err == nil || tr.Code != 0 {
			t.Errorf("the transition is %+v, want attempt %d", tr, want)
		}
	}
	cancel()
	var network *net.OpError
	if err := receive(t, "Dial", failed); !errors.Is(err, context.Canceled) || !errors.As(err, &network) {
		t.Errorf("Dial: %v, want that it was canceled, and why it did not connect before", err)
	}
	states.await(t, client.StateClosed)
}

func TestAnAttemptHasATimeLimit(t *testing.T) {
	url := startRaw(t, func(number int, p *peer) {
		_, _ = io.Copy(io.Discard, p.in) // it never answers the upgrade
	})
	reconnect := quick
	reconnect.Attempts = 2
	_, err := client.Dial(background(t), url, client.Options{Reconnect: reconnect, DialTimeout: 20 * time.Millisecond})
	if !errors.Is(err, client.ErrGaveUp) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: %v, want that it gave up over a deadline", err)
	}
}

// proxy is a small proxy that knows CONNECT.
func proxy(tb testing.TB, secure bool, allow func(*http.Request) int) (*url.URL, *x509.Certificate) {
	tb.Helper()
	var tunnels sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := allow(r); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		target, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			tb.Error(err)
			return
		}
		mu.Lock()
		open = append(open, from, target)
		mu.Unlock()
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		pipe := func(to net.Conn, data io.Reader) {
			_, _ = io.Copy(to, data)
			_ = to.Close()
		}
		tunnels.Go(func() {
			pipe(target, io.MultiReader(io.LimitReader(buffered, int64(buffered.Reader.Buffered())), from))
		})
		tunnels.Go(func() { pipe(from, bufio.NewReader(target)) })
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	tb.Cleanup(func() {
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		tunnels.Wait()
		s.Close()
	})
	u, err := url.Parse(s.URL)
	if err != nil {
		tb.Fatal(err)
	}
	return u, s.Certificate()
}

func TestProxy(t *testing.T) {
	plain, _ := startNode(t, "", echo)
	secure := mount(t, echo, (*httptest.Server).StartTLS)
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	for _, secureProxy := range []bool{false, true} {
		for _, address := range []string{urlOf(plain), secure.URL} {
			t.Run(fmt.Sprint(secureProxy, " ", address[:3]), func(t *testing.T) {
				connects := make(chan string, 10)
				through, certificate := proxy(t, secureProxy, func(r *http.Request) int {
					connects <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
					return http.StatusOK
				})
				through.User = url.UserPassword("me", "pw")
				if certificate != nil {
					pool.AddCert(certificate)
				}
				asked := make(chan string, 10)
				conn := dial(t, address, client.Options{TLS: &tls.Config{RootCAs: pool}, Proxy: func(r *http.Request) (*url.URL, error) {
					asked <- r.URL.Scheme
					return through, nil
				}})
				if scheme := receive(t, "the proxy function", asked); scheme != "http" && scheme != "https" {
					t.Errorf("the proxy function is shown %q", scheme)
				}
				u, _ := url.Parse(address)
				if got, want := receive(t, "a CONNECT", connects), "CONNECT "+u.Host+" Basic bWU6cHc="; got != want {
					t.Errorf("the proxy got %q, want %q", got, want)
				}
				ns, err := conn.Connect(background(t), "default")
				if err != nil {
					t.Fatal(err)
				}
				if answer, err := ns.Ask(background(t), "echo", []byte("hi")); err != nil || string(answer.Body) != "hi" {
					t.Errorf("an ask through the proxy: %q, %v", answer.Body, err)
				}
			})
		}
	}
}

func TestProxyThatDoesNotConnect(t *testing.T) {
	n, _ := startNode(t, "", nil)
	denied, _ := proxy(t, false, func(*http.Request) int { return http.StatusForbidden })
	reconnect := quick
	reconnect.Attempts = 2
	tests := map[string]func(*http.Request) (*url.URL, error){
		"denied":      func(*http.Request) (*url.URL, error) { return denied, nil },
		"away":        func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") },
		"of any kind": func(*http.Request) (*url.URL, error) { return url.Parse("socks5://127.0.0.1:1") },
		"no proxy":    func(*http.Request) (*url.URL, error) { return nil, errors.New("no idea") },
	}
	for name, function := range tests {
		_, err := client.Dial(background(t), urlOf(n), client.Options{Proxy: function, Reconnect: reconnect})
		if !errors.Is(err, client.ErrProxy) {
			t.Errorf("%s: %v, want %v", name, err, client.ErrProxy)
		}
	}
}
