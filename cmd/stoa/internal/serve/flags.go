package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/node"
)

const (
	listenFlag         = "listen"
	internalListenFlag = "internal-listen"
	demoFlag           = "demo"
	pprofFlag          = "pprof"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	set                  *pflag.FlagSet
	listen               string
	internalListen       string
	allowUnauthenticated bool
	demo                 bool
	pprof                bool
	endpoint             string
	allowOrigins         []string
	allowHosts           []string
	subprotocols         []string
	maxHeader            int
	loops                int
	transport            string
	drainDelay           time.Duration
	drainTimeout         time.Duration
	tls                  tlsFlags
	logLevel             string
	logFormat            string
	clusterNode          clusterNodeFlags
}

var (
	logLevels = cli.Choices[slog.Level]{
		{Name: "debug", Value: slog.LevelDebug},
		{Name: "info", Value: slog.LevelInfo},
		{Name: "warn", Value: slog.LevelWarn},
		{Name: "error", Value: slog.LevelError},
	}
	logFormats = cli.Choices[string]{
		{Name: cli.FormatText, Value: cli.FormatText},
		{Name: cli.FormatJSON, Value: cli.FormatJSON},
	}
	transports = cli.Choices[node.Transport]{
		{Name: "auto", Value: node.TransportAuto},
		{Name: "epoll", Value: node.TransportEpoll},
		{Name: "stream", Value: node.TransportBlocking, Hidden: true}, // the former name
		{Name: "blocking", Value: node.TransportBlocking},
	}
)

func (f *serveFlags) register(set *pflag.FlagSet) {
	f.set = set
	set.SortFlags = false
	set.StringVar(&f.listen, listenFlag, "127.0.0.1:8080",
		"`address` to listen on, host:port; port 0 selects a free port")
	set.StringVar(&f.internalListen, internalListenFlag, "",
		"`address` of the pages for operators: metrics, health, profiles; without TLS and authentication; default: that of --listen, if only this machine can reach it")
	set.BoolVar(&f.allowUnauthenticated, "allow-unauthenticated", false,
		"listen on a non-loopback address without authentication")
	set.BoolVar(&f.demo, demoFlag, true,
		"serve the demo page; with --internal-listen it is off by default")
	set.BoolVar(&f.pprof, pprofFlag, false,
		"serve profiles of the process at /debug/pprof/, next to the metrics")
	set.StringVar(&f.endpoint, "endpoint", "/ws",
		"`path` of the WebSocket endpoint; * accepts every path")
	set.StringArrayVar(&f.allowOrigins, "allow-origin", nil,
		"`origin` whose pages may connect, such as https://app.example.com, https://*.example.com, null or *; repeatable; the server's own may always")
	set.StringArrayVar(&f.allowHosts, "allow-host", nil,
		"`host` that requests may be for, without a port, or *; repeatable; on a loopback address needed for other names than localhost")
	set.StringArrayVar(&f.subprotocols, "subprotocol", nil,
		"`name` of a WebSocket subprotocol that is selected if a client offers it; repeatable, the preferred one first")
	set.IntVar(&f.maxHeader, "max-header", 8<<10,
		"maximum size of a request head in `bytes`, cookies included; larger ones are answered with 431")
	set.IntVar(&f.loops, "loops", 0,
		"`number` of event loops; 0 means one per processor")
	set.StringVar(&f.transport, "transport", transports[0].Name,
		"`transport` of connections: "+transports.String())
	set.DurationVar(&f.drainDelay, "drain-delay", 0,
		"`time` after SIGINT or SIGTERM in which /readyz fails and connections are still accepted and served")
	set.DurationVar(&f.drainTimeout, "drain-timeout", 30*time.Second,
		"maximum `time` for closing connections after SIGINT or SIGTERM and the delay; 0 cuts them immediately")
	f.tls.register(set)
	f.clusterNode.register(set)
	set.StringVar(&f.logLevel, "log-level", "info",
		"minimum `level` of the log: "+logLevels.String())
	set.StringVar(&f.logFormat, "log-format", cli.FormatText,
		"`format` of the log on standard error: "+logFormats.String())
}

// parsedFlags are the values of the flags that need parsing.
type parsedFlags struct {
	transport node.Transport
	logLevel  slog.Level
	exposed   bool // other machines can reach the address
	demo      bool
	loops     int
	tls       tlsPair
	cluster   redisbroker.Config // without servers outside of a cluster

	internalExposed bool // other machines can reach the internal address
}

// The bounds of --max-header. Less has no room for a browser's request; more
// would let clients that are not authenticated fill the memory.
const minHeader, maxHeader = 1 << 10, 1 << 20

// maxLoops is the maximum of package node.
const maxLoops = 64

// parse checks the flags that package node does not check.
func (f *serveFlags) parse() (parsedFlags, error) {
	var parsed parsedFlags
	var errs [9]error
	parsed.transport, errs[0] = transports.Parse("--transport", f.transport)
	parsed.logLevel, errs[1] = logLevels.Parse("--log-level", f.logLevel)
	_, errs[2] = logFormats.Parse("--log-format", f.logFormat)
	parsed.exposed, errs[3] = f.checkListen()
	errs[4] = errors.Join(notNegative("--drain-delay", f.drainDelay), notNegative("--drain-timeout", f.drainTimeout))
	parsed.cluster, errs[5] = f.clusterNode.parse()
	parsed.tls, errs[6] = f.tls.resolve()
	if parsed.tls.given() && parsed.transport == node.TransportEpoll {
		errs[6] = errors.Join(errs[6], fmt.Errorf("--transport %s: TLS needs the blocking transport", f.transport))
	}
	if f.maxHeader < minHeader || f.maxHeader > maxHeader {
		errs[7] = fmt.Errorf("--max-header %d: want %d to %d", f.maxHeader, minHeader, maxHeader)
	}
	parsed.internalExposed, errs[8] = f.checkInternal(parsed.exposed)
	parsed.demo = f.demo && (f.internalListen == "" || f.set.Changed(demoFlag))
	parsed.loops = f.loops
	if parsed.loops == 0 {
		parsed.loops = min(runtime.GOMAXPROCS(0), maxLoops)
	}
	return parsed, errors.Join(errs[:]...)
}

func notNegative(flag string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s %v: want 0 or more", flag, d)
	}
	return nil
}

// hosts returns the names that requests may be for. A page whose name leads to
// a loopback address must not reach a node that only this machine may reach.
func (f *serveFlags) hosts(exposed bool) []string {
	if exposed {
		return f.allowHosts
	}
	return append([]string{"localhost"}, f.allowHosts...)
}

// checkListen reports whether other machines can reach the address, which they
// may not without authentication.
func (f *serveFlags) checkListen() (exposed bool, err error) {
	exposed, err = checkAddress(listenFlag, f.listen)
	if exposed && !f.allowUnauthenticated {
		return true, fmt.Errorf("--listen %q: other machines can reach this address, and there is no authentication; "+
			"add --allow-unauthenticated to accept every client", f.listen)
	}
	return exposed, err
}

// checkInternal reports whether other machines can reach the internal address.
func (f *serveFlags) checkInternal(publicExposed bool) (exposed bool, err error) {
	if f.internalListen != "" {
		return checkAddress(internalListenFlag, f.internalListen)
	}
	if f.pprof && publicExposed {
		return false, fmt.Errorf("--%s: other machines can reach --%s %s; add --%s for the profiles",
			pprofFlag, listenFlag, f.listen, internalListenFlag)
	}
	return false, nil
}

// checkAddress reports whether other machines can reach an address to listen
// on. Only literal loopback addresses and "localhost" are safe, because other
// names may resolve differently later.
func checkAddress(flag, address string) (exposed bool, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("--%s %q: want host:port", flag, address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return false, fmt.Errorf("--%s %q: unknown port %q", flag, address, port)
	}
	return !isLoopback(host), nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
