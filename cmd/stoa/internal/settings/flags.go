package settings

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/config"
)

// FileFlag is the name of the flag for the file.
const FileFlag = "config"

// Flags are the flags of one command. The zero value has none.
type Flags struct {
	set  *pflag.FlagSet
	file string
}

const (
	controlFlag  = "control-socket"
	controlUsage = "`path` of a Unix socket for \"stoa reload\", which only the node's user can use"
)

// RegisterFile adds only the flag for the file, in front of the others.
func (f *Flags) RegisterFile(set *pflag.FlagSet) {
	f.set = set
	set.SortFlags = false
	set.StringVar(&f.file, FileFlag, "",
		"YAML `file` with the configuration; default: "+config.FileVariable)
}

// RegisterCluster adds only the flags that select a cluster, for LoadCluster.
func (f *Flags) RegisterCluster(set *pflag.FlagSet) {
	f.RegisterFile(set)
	cli.RegisterClusterFlags(set)
}

// RegisterControl adds only the flags that lead to the control socket of a
// running node.
func (f *Flags) RegisterControl(set *pflag.FlagSet) {
	f.RegisterFile(set)
	set.String(controlFlag, "", "`path` of the control socket of the node; default: that of the configuration")
}

// Control returns the path of the control socket on the command line.
func (f *Flags) Control() string {
	path, _ := f.set.GetString(controlFlag) // the flag exists
	return path
}

// Register adds the flags to a set.
func (f *Flags) Register(set *pflag.FlagSet) {
	f.RegisterFile(set)
	set.String("listen", "127.0.0.1:8080",
		"`address` to listen on, host:port; port 0 selects a free port")
	set.String("internal-listen", "",
		"`address` of the pages for operators: metrics, health, profiles; without TLS and authentication; default: that of --listen, if only this machine can reach it")
	set.String(controlFlag, "", controlUsage)
	set.Bool("allow-unauthenticated", false,
		"listen on a non-loopback address without authentication")
	set.Bool("demo", true,
		"serve the demo page; with --internal-listen it is off by default")
	set.Bool("pprof", false,
		"serve profiles of the process at /debug/pprof/, next to the metrics")
	set.String("endpoint", "/ws",
		"`path` of the WebSocket endpoint; * accepts every path")
	set.StringArray("allow-origin", nil,
		"`origin` whose pages may connect, such as https://app.example.com, https://*.example.com, null or *; repeatable; the server's own may always")
	set.StringArray("allow-host", nil,
		"`host` that requests may be for, without a port, or *; repeatable; on a loopback address needed for other names than localhost")
	set.StringArray("subprotocol", nil,
		"`name` of a WebSocket subprotocol that is selected if a client offers it; repeatable, the preferred one first")
	set.Int("max-header", 8<<10,
		"maximum size of a request head in `bytes`, cookies included; larger ones are answered with 431")
	set.Int("loops", 0,
		"`number` of event loops; 0 means one per processor")
	set.String("transport", "auto",
		"`transport` of connections: auto, epoll or blocking")
	set.Duration("drain-delay", 0,
		"`time` after SIGINT or SIGTERM in which /readyz fails and connections are still accepted and served")
	set.Duration("drain-timeout", 30*time.Second,
		"maximum `time` for closing connections after SIGINT or SIGTERM and the delay; 0 cuts them immediately")
	set.String("tls-cert", "",
		"PEM `file` with the certificate chain; enables TLS for the whole port; default: STOA_TLS_CERT")
	set.String("tls-key", "",
		"PEM `file` with the private key of the certificate; default: STOA_TLS_KEY")
	set.StringArray("trusted-proxy", nil,
		"`network` of proxies that may name the address of their clients, such as 10.0.0.0/8, or one address; repeatable")
	set.String("proxy-header", "auto",
		"`field` of requests in which they do: x-forwarded-for, forwarded or none; auto: x-forwarded-for, or none with --proxy-protocol")
	set.Bool("proxy-protocol", false,
		"every connection begins with a header of the PROXY protocol, version 1 or 2; others are closed")
	cli.RegisterClusterFlags(set)
	set.String("node-id", "",
		"`ID` of the node, unique in its cluster, at most 64 letters, digits, _, . and -; default: random")
	set.String("advertise", "",
		"`address` of the node in \"stoa nodes\"; default: the listen address")
	set.String("log-level", "info",
		"minimum `level` of the log: debug, info, warn or error")
	set.String("log-format", cli.FormatText,
		"`format` of the log on standard error: text or json")
}

// File returns the path of the file, empty without one.
func (f *Flags) File() string {
	if f.set != nil && f.set.Changed(FileFlag) {
		return f.file
	}
	return os.Getenv(config.FileVariable)
}

// Load reads the configuration: the file, the environment and the flags.
func (f *Flags) Load() (*config.Config, error) { return f.LoadFile(f.File()) }

// LoadFile is Load with another file.
func (f *Flags) LoadFile(path string) (*config.Config, error) {
	c, err := config.Load(f.sources(path))
	return c, explain(err)
}

// LoadCluster is Load for commands that need the section cluster only.
func (f *Flags) LoadCluster() (*config.Config, error) {
	c, err := config.LoadCluster(f.sources(f.File()))
	return c, explain(err)
}

func (f *Flags) sources(path string) config.Sources {
	return config.Sources{File: path, Environment: os.Environ(), Flags: f.set}
}

// explain returns an error that points to the help only if a flag is wrong.
func explain(err error) error {
	var mistakes config.Errors
	if errors.As(err, &mistakes) && !slices.ContainsFunc(mistakes, ofFlag) {
		return cli.Mistake(err)
	}
	return err
}

func ofFlag(mistake *config.Error) bool { return mistake.Origin.Layer == config.LayerFlag }
