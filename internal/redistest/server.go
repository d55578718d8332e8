package redistest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	program = "redis-server"
	// patience is how long a server may take to start or stop.
	patience = 20 * time.Second
	// attempts to find a port that no other process takes in the meantime.
	attempts  = 5
	pollPause = 5 * time.Millisecond
)

// Server is a Redis server or Sentinel. Its methods fail the test on errors.
// They are called from one goroutine at a time.
type Server struct {
	t         testing.TB
	arguments []string
	directory string
	password  string
	tls       *tls.Config // of clients; nil: plain TCP
	port      int

	mu      sync.Mutex // guards the rest
	process *exec.Cmd  // nil while it does not run
	ended   chan struct{}
	paused  bool
	output  bytes.Buffer

	locked bool // the server refuses all commands, see RestartLocked
}

// Start starts a server with arguments in addition to the usual ones, such as
// "--requirepass", "secret". It returns when the server answers.
func Start(t testing.TB, arguments ...string) *Server {
	t.Helper()
	s := &Server{t: t, arguments: arguments, directory: t.TempDir()}
	for i, argument := range arguments {
		if argument == "--requirepass" && i+1 < len(arguments) {
			s.password = arguments[i+1]
		}
	}
	return s.start()
}

// start finds a port and returns when the server answers.
func (s *Server) start() *Server {
	s.t.Helper()
	s.t.Cleanup(s.Kill)
	for range attempts {
		s.port = freePort(s.t)
		if s.launch() {
			return s
		}
	}
	s.t.Fatalf("redis-server does not start; it said:\n%s", s.said())
	return nil
}

// freePort returns a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// Addr is host:port; it stays the same over restarts.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port is the port of Addr.
func (s *Server) Port() int { return s.port }

// URL is a redis:// URL, with the password if there is one.
func (s *Server) URL() string {
	if s.password != "" {
		return "redis://:" + s.password + "@" + s.Addr()
	}
	return "redis://" + s.Addr()
}

// Process is the operating system's ID of the process, for measuring; 0 while
// it does not run.
func (s *Server) Process() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0
	}
	return s.process.Process.Pid
}

// launch returns false if the server ended instead of answering.
func (s *Server) launch() bool {
	s.t.Helper()
	port := "--port"
	if s.tls != nil {
		port = "--tls-port"
	}
	arguments := append([]string{
		port, strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.directory,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
	}, s.arguments...)
	if s.locked {
		arguments = append(arguments, "--requirepass", lockPassword)
	}
	return s.execute(arguments)
}

func (s *Server) execute(arguments []string) bool {
	s.t.Helper()
	process := exec.Command(program, arguments...)
	process.Dir = s.directory
	s.mu.Lock()
	process.Stdout, process.Stderr = &lockedWriter{s: s}, &lockedWriter{s: s}
	s.mu.Unlock()
	if err := process.Start(); err != nil {
		s.t.Fatalf("cannot start %s, which these tests need: %v", program, err)
	}
	ended := make(chan struct{})
	s.mu.Lock()
	s.process, s.ended, s.paused = process, ended, false
	s.mu.Unlock()
	go func() {
		// It is usually killed, so its end is no news.
		_ = process.Wait()
		close(ended)
	}()
	return s.awaitAnswer(process.Process.Pid, ended)
}

// awaitAnswer waits until the server answers. It returns false if the server
// ended instead, which happens if another process took its port.
func (s *Server) awaitAnswer(process int, ended <-chan struct{}) bool {
	s.t.Helper()
	deadline := time.After(patience)
	retry := time.NewTicker(pollPause)
	defer retry.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-deadline:
			s.t.Fatalf("%s does not answer; it said:\n%s", program, s.said())
		case <-retry.C:
			if s.answers(process) {
				return true
			}
		}
	}
}

// answers returns true if this process answers, or a server that requires a
// password.
func (s *Server) answers(process int) bool {
	info, err := s.ask("INFO server")
	if err != nil {
		return false
	}
	if strings.HasPrefix(info, "-") {
		return (s.password != "" || s.locked || s.tls != nil) && strings.HasPrefix(info, "-NOAUTH")
	}
	return strings.Contains(info, "\nprocess_id:"+strconv.Itoa(process)+"\r\n")
}

// ask sends one command on a separate connection and returns the answer: a
// line, or the content of a string.
func (s *Server) ask(command string) (string, error) {
	conn, err := s.dial()
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
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	size, isString := strings.CutPrefix(line, "$")
	if err != nil || !isString {
		return line, err
	}
	length, err := strconv.Atoi(strings.TrimSpace(size))
	if err != nil || length < 0 {
		return "", fmt.Errorf("redistest: answer of length %q", size)
	}
	content := make([]byte, length)
	_, err = io.ReadFull(reader, content)
	return string(content), err
}

// Command sends commands, in the order given, on a separate connection each. An
// error as the answer fails the test.
func (s *Server) Command(commands ...string) {
	s.t.Helper()
	for _, command := range commands {
		if answer, err := s.ask(command); err != nil || strings.HasPrefix(answer, "-") {
			s.t.Fatalf("%s answers %q with %q, %v", s, command, answer, err)
		}
	}
}

func (s *Server) dial() (net.Conn, error) {
	dialer := &net.Dialer{Timeout: patience}
	if s.tls != nil {
		return tls.DialWithDialer(dialer, "tcp", s.Addr(), s.tls)
	}
	return dialer.Dial("tcp", s.Addr())
}

// Kill ends the server at once, as a crash would; nothing is kept. A paused
// server is ended too. It does nothing if the server does not run.
func (s *Server) Kill() {
	s.mu.Lock()
	process, ended := s.process, s.ended
	s.process = nil
	s.mu.Unlock()
	if process == nil {
		return
	}
	// It fails if the process has already ended.
	_ = process.Process.Kill()
	<-ended
}

// Stop ends the server in order.
func (s *Server) Stop() {
	s.t.Helper()
	s.mu.Lock()
	process, ended := s.process, s.ended
	s.process = nil
	s.mu.Unlock()
	if process == nil {
		return
	}
	if err := process.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatalf("cannot stop %s: %v", program, err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		_ = process.Process.Kill()
		s.t.Fatalf("%s does not stop", program)
	}
}

// Restart starts the server again on its port, empty. It is killed first if it
// runs.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if !s.launch() {
		s.t.Fatalf("%s does not start again; it said:\n%s", program, s.said())
	}
}

// lockPassword is the password of a locked server.
const lockPassword = "locked"

// RestartLocked is Restart of a server that refuses all commands of its clients
// until Unlock.
func (s *Server) RestartLocked() {
	s.t.Helper()
	s.locked = true
	s.Restart()
}

// Unlock lets the server accept commands.
func (s *Server) Unlock() {
	s.t.Helper()
	conn, err := s.dial()
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "AUTH "+lockPassword+"\r\nCONFIG SET requirepass \"\"\r\n"); err != nil {
		s.t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for range 2 {
		if line, err := reader.ReadString('\n'); err != nil || line != "+OK\r\n" {
			s.t.Fatalf("%s answers %q, %v", s, line, err)
		}
	}
	s.locked = false
}

// Pause stops the server with its connections open (SIGSTOP), until Resume.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(pauseSignal)
}

// Resume continues a paused server.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(resumeSignal)
}

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	s.mu.Lock()
	process := s.process
	s.mu.Unlock()
	if process == nil {
		s.t.Fatalf("%s does not run", program)
	}
	if err := process.Process.Signal(signal); err != nil {
		s.t.Fatalf("cannot send %v to %s: %v", signal, program, err)
	}
}

// said is the output of the server.
func (s *Server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// lockedWriter collects the output.
type lockedWriter struct{ s *Server }

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.output.Write(p)
}

// String names the server in messages of tests.
func (s *Server) String() string { return fmt.Sprintf("redis-server at %s", s.Addr()) }
