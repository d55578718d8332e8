package serve

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/node"
)

// facts are the output at startup.
type facts struct {
	build    cli.Build
	nodeID   string
	address  net.Addr
	internal net.Addr // nil without an internal port
	demo     bool     // there is a demo page
	secure   bool     // over TLS
	endpoint string
	loops    int
	capacity capacity

	namespaces []string // their names
	cluster    string   // its name; empty without a cluster
	servers    []string // of the cluster: addresses, never URLs
}

// newFacts is called after Listen. self is nil outside of a cluster.
func newFacts(c *config.Config, server *node.Node, self *clusterNode, capacity capacity) facts {
	f := facts{
		build:      cli.ReadBuild(),
		nodeID:     server.ID(),
		address:    server.Addr(),
		demo:       c.Demo(),
		secure:     c.TLS.Cert != "",
		endpoint:   c.Listen.Endpoint,
		loops:      c.Node().Loops,
		capacity:   capacity,
		namespaces: slices.Sorted(maps.Keys(c.Namespaces)),
	}
	if self != nil {
		f.cluster, f.servers = c.Cluster.Name, self.servers()
	}
	return f
}

// announce writes the facts to stdout, or as one record to a log in JSON.
func announce(stdout io.Writer, logger *slog.Logger, format string, f facts) {
	if format == cli.FormatJSON {
		if f.cluster != "" {
			logger = logger.With("cluster", f.cluster, "redis", f.servers)
		}
		if f.demo {
			logger = logger.With("page", f.page())
		}
		if f.internal != nil {
			logger = logger.With("internal_address", f.internal.String())
		}
		logger.Info("serving", "version", f.build.Version, "node", f.nodeID, "address", f.address.String(),
			"endpoint", f.endpoint, "loops", f.loops,
			"open_files", f.capacity.files, "connection_limit", f.capacity.held, "available_bytes", f.capacity.memory)
		if f.capacity.filesAreLow() {
			logger.Warn("low limit of open files", "open_files", f.capacity.files)
		}
		return
	}
	// The node serves even if standard output is closed or full.
	_, _ = io.WriteString(stdout, f.banner())
}

func (f facts) banner() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Stoa %s, node %s, %s\n\n", f.build.Version, f.nodeID, cli.Count(uint64(f.loops), "loop"))
	if f.demo {
		fmt.Fprintf(&b, "  Open       %s in two browser tabs\n", f.page())
	}
	fmt.Fprintf(&b, "  Clients    %s, %s\n", f.socket(), f.describeNamespaces())
	if f.internal != nil {
		fmt.Fprintf(&b, "  Internal   http://%s/metrics, /healthz and /readyz\n", hostOf(f.internal))
	}
	if f.cluster != "" {
		fmt.Fprintf(&b, "  Cluster    %q on %s: %s\n", f.cluster, cli.Count(uint64(len(f.servers)), "Redis server"), strings.Join(f.servers, ", "))
	}
	fmt.Fprintf(&b, "  Room for   %s\n", f.capacity.describe())
	if f.capacity.filesAreLow() {
		fmt.Fprintf(&b, "  Warning    low limit of open files: raise it with \"ulimit -n\" or LimitNOFILE=\n")
	}
	b.WriteString("\nPress Ctrl-C to close all connections and stop.\n")
	return b.String()
}

// describe returns how many connections fit, and what limits them.
func (c capacity) describe() string {
	files, memory := "", ""
	if c.files != 0 {
		files = fmt.Sprintf("%s open files", cli.Thousands(c.files))
	}
	if c.memory != 0 {
		memory = fmt.Sprintf("%.1f GB of memory at about %.1f KB each", float64(c.memory)/1e9, float64(c.perConnection())/1e3)
	}
	switch {
	case files == "" && memory == "":
		return "as many connections as the system allows"
	case files == "":
		return fmt.Sprintf("about %s idle connections (%s)", roughly(c.connections()), memory)
	case memory == "":
		return fmt.Sprintf("about %s idle connections (%s)", roughly(c.connections()), files)
	case c.byFiles() < c.byMemory():
		return fmt.Sprintf("about %s idle connections (%s; %s would allow %s)", roughly(c.byFiles()), files, memory, roughly(c.byMemory()))
	default:
		return fmt.Sprintf("about %s idle connections (%s; %s would allow %s)", roughly(c.byMemory()), memory, files, roughly(c.byFiles()))
	}
}

// maxNamed is how many namespaces the output names.
const maxNamed = 4

func (f facts) describeNamespaces() string {
	switch n := len(f.namespaces); {
	case n == 0:
		return "no namespace"
	case n == 1:
		return fmt.Sprintf("namespace %q", f.namespaces[0])
	case n > maxNamed:
		return fmt.Sprintf("%d namespaces", n)
	}
	quoted := make([]string, len(f.namespaces))
	for i, name := range f.namespaces {
		quoted[i] = strconv.Quote(name)
	}
	return "namespaces " + strings.Join(quoted, ", ")
}

// page returns the URL of the demo page for a browser on this machine.
func (f facts) page() string {
	return (&url.URL{Scheme: f.scheme("http"), Host: hostOf(f.address), Path: "/"}).String()
}

func (f facts) socket() string {
	return (&url.URL{Scheme: f.scheme("ws"), Host: hostOf(f.address), Path: pageEndpoint(f.endpoint)}).String()
}

// scheme returns https or wss with TLS.
func (f facts) scheme(plain string) string {
	if f.secure {
		return plain + "s"
	}
	return plain
}

// hostOf returns a bound address. An unspecified address becomes localhost,
// because some browsers cannot open it.
func hostOf(address net.Addr) string {
	bound, ok := address.(*net.TCPAddr)
	if !ok {
		return address.String()
	}
	host := bound.IP.String()
	if bound.IP.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(bound.Port))
}

// roughly rounds down to two significant digits, because the number is an
// estimate.
func roughly(n uint64) string {
	unit := uint64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return cli.Thousands(n / unit * unit)
}
