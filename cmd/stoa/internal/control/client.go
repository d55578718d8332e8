package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// maxResult bounds the answer of a node in bytes.
const maxResult = 16 << 20

// ask makes the node at a socket reload.
func ask(ctx context.Context, path string, timeout time.Duration) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://stoa/reload", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, explain(path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the process at %s answers %s: it is no node of this version", path, response.Status)
	}
	result := new(Result)
	if err := json.NewDecoder(io.LimitReader(response.Body, maxResult)).Decode(result); err != nil {
		return nil, explain(path, err)
	}
	return result, nil
}

// explain names the usual reasons.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no node runs with the control socket %s: it does not exist", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no node runs with the control socket %s: no process listens on it", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the control socket %s is only for the user of the node", path)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the node at %s has not answered in time", path)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the node at %s has ended", path)
	}
	return fmt.Errorf("the control socket %s: %w", path, err)
}

// report prints the result of a reload. It returns nil only if the node has the
// whole configuration in force.
func (r *Result) report(stdout io.Writer) error {
	switch {
	case len(r.Mistakes) > 0:
		return cli.Mistake(lines(r.Mistakes))
	case r.Failure != "":
		return cli.Failure(errors.New(r.Failure))
	case len(r.Changed) == 0 && len(r.Restart) == 0:
		_, _ = fmt.Fprintln(stdout, "reloaded: no key has changed")
	case len(r.Changed) == 0:
	default:
		_, _ = fmt.Fprintf(stdout, "reloaded: %s changed\n", cli.Count(uint64(len(r.Changed)), "key"))
		for _, key := range r.Changed {
			_, _ = fmt.Fprintf(stdout, "  %s\n", key)
		}
	}
	var pending lines
	for _, p := range r.Restart {
		pending = append(pending, fmt.Sprintf("%s: %s needs a restart: the node runs with %s, not with %s", p.Origin, p.Key, shown(p.Running), shown(p.Wanted)))
	}
	if len(pending) > 0 {
		return cli.Failure(pending)
	}
	return nil
}

func shown(value string) string {
	if value == "" || value == `""` || value == "[]" {
		return "none"
	}
	return value
}

// lines is an error of several lines.
type lines []string

// Error implements error.
func (l lines) Error() string { return fmt.Sprint([]string(l)) }

// Lines returns them; see cli.Run.
func (l lines) Lines() []string { return l }
