package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/node"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	listen               string
	allowUnauthenticated bool
	endpoint             string
	allowOrigins         []string
	loops                int
	transport            string
	drainTimeout         time.Duration
	tls                  tlsFlags
	logLevel             string
	logFormat            string
	member               memberFlags
}

const (
	formatText = "text"
	formatJSON = "json"
)

var (
	logLevels = choices[slog.Level]{
		{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError},
	}
	logFormats = choices[string]{{formatText, formatText}, {formatJSON, formatJSON}}
	transports = choices[node.Transport]{
		{"auto", node.TransportAuto}, {"epoll", node.TransportEpoll}, {"stream", node.TransportStream},
	}
)

func (f *serveFlags) register(set *pflag.FlagSet) {
	set.SortFlags = false
	set.StringVar(&f.listen, "listen", "127.0.0.1:8080",
		"`address` to listen on, host:port; port 0 takes a free one")
	set.BoolVar(&f.allowUnauthenticated, "allow-unauthenticated", false,
		"listen on an address that others can reach, although anybody may then connect")
	set.StringVar(&f.endpoint, "endpoint", "/ws",
		"`path` of the WebSocket endpoint, or * for every path")
	set.StringArrayVar(&f.allowOrigins, "allow-origin", nil,
		"`origin` whose pages may connect besides the server's own, scheme://host[:port] or *; repeatable")
	set.IntVar(&f.loops, "loops", 0,
		"`number` of event loops; 0 is one for each processor")
	set.StringVar(&f.transport, "transport", transports[0].name,
		"`way` in which connections are served: "+transports.String())
	set.DurationVar(&f.drainTimeout, "drain-timeout", 30*time.Second,
		"how long connections may take to close after SIGINT or SIGTERM; 0 cuts them at once")
	f.tls.register(set)
	f.member.register(set)
	set.StringVar(&f.logLevel, "log-level", "info",
		"least `level` that is logged: "+logLevels.String())
	set.StringVar(&f.logFormat, "log-format", formatText,
		"`format` of the log on standard error: "+logFormats.String())
}

// parsedFlags are the flags that are not used as they were typed.
type parsedFlags struct {
	transport node.Transport
	logLevel  slog.Level
	exposed   bool // others than this machine can reach the address
	loops     int
	tls       tlsPair
	cluster   redisbroker.Config // without servers if the node is alone
}

// maxLoops is how many loops a node has at most.
const maxLoops = 64

// parse checks what package node does not check.
func (f *serveFlags) parse() (parsedFlags, error) {
	var parsed parsedFlags
	var errs [7]error
	parsed.transport, errs[0] = transports.parse("--transport", f.transport)
	parsed.logLevel, errs[1] = logLevels.parse("--log-level", f.logLevel)
	_, errs[2] = logFormats.parse("--log-format", f.logFormat)
	parsed.exposed, errs[3] = f.checkListen()
	if f.drainTimeout < 0 {
		errs[4] = fmt.Errorf("--drain-timeout %v: want 0 or more", f.drainTimeout)
	}
	parsed.cluster, errs[5] = f.member.parse()
	parsed.tls, errs[6] = f.tls.resolve()
	if parsed.tls.given() && parsed.transport == node.TransportEpoll {
		errs[6] = errors.Join(errs[6], fmt.Errorf("--transport %s: connections over TLS are served in the way \"stream\"", f.transport))
	}
	parsed.loops = f.loops
	if parsed.loops == 0 {
		parsed.loops = min(runtime.GOMAXPROCS(0), maxLoops)
	}
	return parsed, errors.Join(errs[:]...)
}

// checkListen reports whether others than this machine can reach the address.
// Only literal loopback addresses and "localhost" count as its own: what another
// name resolves to may change.
func (f *serveFlags) checkListen() (exposed bool, err error) {
	host, port, err := net.SplitHostPort(f.listen)
	if err != nil {
		return false, fmt.Errorf("--listen %q: want host:port", f.listen)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return false, fmt.Errorf("--listen %q: port %q is not a port", f.listen, port)
	}
	if isLoopback(host) {
		return false, nil
	}
	if !f.allowUnauthenticated {
		return true, fmt.Errorf("--listen %q: others can reach this address and there is no authentication; "+
			"add --allow-unauthenticated if anybody may connect", f.listen)
	}
	return true, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// choices are the values of a flag that has only a few; the first is the default.
type choices[T any] []struct {
	name  string
	value T
}

func (c choices[T]) parse(flag, name string) (T, error) {
	for _, choice := range c {
		if choice.name == name {
			return choice.value, nil
		}
	}
	var zero T
	return zero, fmt.Errorf("%s %q: want %s", flag, name, c)
}

func (c choices[T]) String() string {
	names := make([]string, len(c))
	for i, choice := range c {
		names[i] = choice.name
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
