package redistest_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/redistest"
)

// ask sends a command and returns the first line of the answer.
func ask(address, command string, patience time.Duration) (string, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func expect(t *testing.T, address, command, want string) {
	t.Helper()
	if got, err := ask(address, command, 20*time.Second); err != nil || got != want+"\r\n" {
		t.Errorf("%s = %q, %v, want %q", command, got, err, want)
	}
}

func TestServer(t *testing.T) {
	s := redistest.Start(t)
	expect(t, s.Addr(), "SET key value", "+OK")
	s.Pause()
	if _, err := ask(s.Addr(), "PING", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a paused server answers: %v, want no answer", err)
	}
	s.Resume()
	expect(t, s.Addr(), "PING", "+PONG")
	s.Restart()
	expect(t, s.Addr(), "EXISTS key", ":0")
	s.Stop()
	if _, err := ask(s.Addr(), "PING", time.Second); err == nil {
		t.Error("a stopped server answers")
	}
	s.Kill()
	s.Restart()
	expect(t, s.Addr(), "PING", "+PONG")
	s.Pause() // the end of the test copes with that
}

func TestServerWithPassword(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "secret")
	expect(t, s.Addr(), "AUTH secret", "+OK")
	if want := "redis://:secret@" + s.Addr(); s.URL() != want {
		t.Errorf("URL = %s, want %s", s.URL(), want)
	}
}

func TestSecureServer(t *testing.T) {
	s := redistest.StartSecure(t, "alice on >secret ~* &* +@all")
	conn, err := tls.Dial("tcp", s.Addr(), s.TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "PING\r\nAUTH alice secret\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for _, want := range []string{"-NOAUTH Authentication required.\r\n", "+OK\r\n", "+PONG\r\n"} {
		if got, err := reader.ReadString('\n'); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	var unknown x509.UnknownAuthorityError
	if _, err := tls.Dial("tcp", s.Addr(), &tls.Config{}); !errors.As(err, &unknown) {
		t.Errorf("without the authority: %v, want %T", err, unknown)
	}
	if want := "rediss://alice:p%40ss@" + s.Addr(); s.URLOf("alice", "p@ss") != want {
		t.Errorf("URL = %s, want %s", s.URLOf("alice", "p@ss"), want)
	}
}

func TestProxy(t *testing.T) {
	p := redistest.StartProxy(t, redistest.Start(t))
	expect(t, p.Addr(), "PING", "+PONG")
	p.Cut()
	if _, err := ask(p.Addr(), "PING", 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an answer came through a network that is cut: %v", err)
	}
	p.Heal()
	expect(t, p.Addr(), "PING", "+PONG")
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	p.Break()
	if _, err := reader.ReadByte(); err == nil {
		t.Error("a broken connection still works")
	}
	expect(t, p.Addr(), "PING", "+PONG")
}
