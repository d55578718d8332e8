package redistest

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Refuser is a proxy that makes the server answer some commands with an error,
// for refusals that a real server cannot be brought to. The server itself
// answers, with a script in place of the command, so that the order of its
// answers holds. A connection with subscriptions gets another error instead.
type Refuser struct {
	*Proxy

	mu      sync.Mutex // guards the rest
	refused map[string]string
	losing  string // the command whose reply is lost; empty: none
}

// StartRefuser forwards connections to the server until the end of the test.
func StartRefuser(t testing.TB, s *Server) *Refuser {
	t.Helper()
	r := &Refuser{}
	r.Proxy = startProxy(t, s, func(client, server io.Reader) (commands, replies io.Reader) {
		silent := new(atomic.Bool)
		return &commandReader{refuser: r, in: bufio.NewReader(client), silent: silent}, &replyReader{server, silent}
	})
	return r
}

// Refuse answers commands with an error, such as "LOADING not yet". Commands
// are in lower case; "client" refuses all its subcommands.
func (r *Refuser) Refuse(reply string, commands ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = make(map[string]string)
	for _, command := range commands {
		r.refused[command] = reply
	}
}

// Accept ends the refusals.
func (r *Refuser) Accept() { r.Refuse("") }

// LoseReply lets the next command of this name through, in lower case, but
// neither its reply nor a later one on the same connection, which stays open.
func (r *Refuser) LoseReply(command string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.losing = command
}

// loses reports whether the reply to the command is to be lost.
func (r *Refuser) loses(command string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.losing == "" || strings.ToLower(command) != r.losing {
		return false
	}
	r.losing = ""
	return true
}

func (r *Refuser) reply(command string) (reply string, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reply, found = r.refused[strings.ToLower(command)]
	return reply, found
}

// commandReader reads the commands of a client, with the refused ones replaced.
type commandReader struct {
	refuser *Refuser
	in      *bufio.Reader
	silent  *atomic.Bool // the replies are lost
	pending []byte
}

// replyReader reads the replies of the server, until they are lost.
type replyReader struct {
	server io.Reader
	silent *atomic.Bool
}

func (r *replyReader) Read(p []byte) (int, error) {
	for {
		count, err := r.server.Read(p)
		if err != nil || !r.silent.Load() {
			return count, err
		}
	}
}

func (c *commandReader) Read(p []byte) (int, error) {
	if len(c.pending) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	count := copy(p, c.pending)
	c.pending = c.pending[count:]
	return count, nil
}

// next reads one command: an array of strings, or a line.
func (c *commandReader) next() error {
	line, err := c.in.ReadBytes('\n')
	if err != nil || line[0] != '*' {
		c.pending = line
		return err
	}
	count, err := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	if err != nil {
		return err
	}
	c.pending = line
	command := ""
	for i := range count {
		length, err := c.in.ReadBytes('\n')
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(length), "$")))
		if err != nil {
			return err
		}
		argument := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(c.in, argument); err != nil {
			return err
		}
		if i == 0 {
			command = string(argument[:size])
		}
		c.pending = append(append(c.pending, length...), argument...)
	}
	if c.refuser.loses(command) {
		c.silent.Store(true)
	}
	if reply, found := c.refuser.reply(command); found {
		script := "return redis.error_reply(ARGV[1])"
		c.pending = fmt.Appendf(nil, "*4\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n$%d\r\n%s\r\n", len(script), script, len(reply), reply)
	}
	return nil
}
