package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// facts are what an operator is told on start.
type facts struct {
	build    build
	nodeID   string
	address  net.Addr
	secure   bool // over TLS
	endpoint string
	loops    int
	capacity capacity
	cluster  string   // its name; empty if the node is alone
	servers  []string // of the cluster: addresses, never URLs
}

// announce tells the facts: in prose on stdout, or as one record of the log where
// the log is meant for a machine.
func announce(stdout io.Writer, logger *slog.Logger, format string, f facts) {
	if format == formatJSON {
		if f.cluster != "" {
			logger = logger.With("cluster", f.cluster, "redis", f.servers)
		}
		logger.Info("serving", "version", f.build.version, "node", f.nodeID, "address", f.address.String(),
			"page", f.page(), "endpoint", f.endpoint, "loops", f.loops,
			"open_files", f.capacity.files, "available_bytes", f.capacity.memory)
		if f.capacity.filesAreLow() {
			logger.Warn("the limit of open files is low", "open_files", f.capacity.files)
		}
		return
	}
	// Standard output may be closed or full; the node serves all the same.
	_, _ = io.WriteString(stdout, f.banner())
}

func (f facts) banner() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Stoa %s, node %s, %s\n\n", f.build.version, f.nodeID, count(uint64(f.loops), "loop"))
	fmt.Fprintf(&b, "  Open       %s in two tabs and talk\n", f.page())
	fmt.Fprintf(&b, "  Clients    %s, namespace %q\n", f.socket(), demoNamespace)
	if f.cluster != "" {
		fmt.Fprintf(&b, "  Cluster    %q on %s: %s\n", f.cluster, count(uint64(len(f.servers)), "Redis server"), strings.Join(f.servers, ", "))
	}
	fmt.Fprintf(&b, "  Room for   %s\n", f.capacity.describe())
	if f.capacity.filesAreLow() {
		fmt.Fprintf(&b, "  Warning    the limit of open files is low: raise it with \"ulimit -n\" or LimitNOFILE=\n")
	}
	b.WriteString("\nCtrl-C closes all connections and stops.\n")
	return b.String()
}

// describe says how many connections fit, and for which reason not more.
func (c capacity) describe() string {
	files, memory := "", ""
	if c.files != 0 {
		files = fmt.Sprintf("%s open files", thousands(c.files))
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
		return fmt.Sprintf("about %s idle connections (%s; %s would do for %s)", roughly(c.byFiles()), files, memory, roughly(c.byMemory()))
	default:
		return fmt.Sprintf("about %s idle connections (%s; %s would do for %s)", roughly(c.byMemory()), memory, files, roughly(c.byFiles()))
	}
}

// page is where a browser on this machine finds the demo page.
func (f facts) page() string {
	return (&url.URL{Scheme: f.scheme("http"), Host: f.host(), Path: "/"}).String()
}

func (f facts) socket() string {
	return (&url.URL{Scheme: f.scheme("ws"), Host: f.host(), Path: pageEndpoint(f.endpoint)}).String()
}

// scheme adds the s of https and wss.
func (f facts) scheme(plain string) string {
	if f.secure {
		return plain + "s"
	}
	return plain
}

// host is the bound address; one that stands for every address of the machine
// cannot be opened in every browser, so it becomes localhost.
func (f facts) host() string {
	bound, ok := f.address.(*net.TCPAddr)
	if !ok {
		return f.address.String()
	}
	host := bound.IP.String()
	if bound.IP.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(bound.Port))
}

func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// roughly rounds down to two significant digits: the figures that it is made of
// are estimates.
func roughly(n uint64) string {
	unit := uint64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return thousands(n / unit * unit)
}

// thousands writes a number with commas: 1,048,576.
func thousands(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
