package metrics_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
)

var update = flag.Bool("update", false, "write the golden file instead of comparing with it")

// fixed is a source whose figures do not change.
type fixed node.Stats

func (f fixed) Stats() node.Stats { return node.Stats(f) }

var build = metrics.BuildInfo{Version: "v1.2.3", Revision: "0123abc", GoVersion: "go1.26.1"}

func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(newRegistry(t, populated(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestGolden(t *testing.T) {
	compareGolden(t, "metrics.golden", exposition(t, newRegistry(t, populated(t))))
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Compared line by line, so that a failure names the metric.
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for _, line := range wantLines {
		if !slices.Contains(gotLines, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range gotLines {
		if !slices.Contains(wantLines, line) {
			t.Errorf("not in %s: %s", path, line)
		}
	}
	if !t.Failed() && !bytes.Equal(got, want) {
		t.Errorf("%s has the same lines in another order", path)
	}
}

// TestEveryFieldIsShown fails for a field of node.Stats without a metric.
func TestEveryFieldIsShown(t *testing.T) {
	stats := populated(t)
	got := string(exposition(t, newRegistry(t, stats)))
	var check func(path string, v reflect.Value)
	check = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				check(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Array:
			if v.Type() == reflect.TypeFor[[10]uint64]() {
				return // buckets are shown as running sums
			}
			for i := range v.Len() {
				if strings.HasSuffix(path, ".Calls") && node.HandlerKind(i) == node.HandlerNone {
					continue // is never counted
				}
				check(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Int, reflect.Uint64, reflect.Float64:
			if !strings.Contains(got, fmt.Sprintf(" %v\n", v)) {
				t.Errorf("%s = %v is in no metric", path, v)
			}
		}
	}
	check("Stats", reflect.ValueOf(stats))
}

// A node without events shows all series: a rate over a counter that first
// appears with the value 1 would miss that event.
func TestZeroStatsHasEverySeries(t *testing.T) {
	got := string(exposition(t, newRegistry(t, node.Stats{})))
	for _, want := range []string{
		`stoa_handshakes_total{result="accepted"} 0`,
		`stoa_handshakes_total{result="aborted"} 0`,
		`stoa_messages_received_total{result="system",type="text"} 0`,
		`stoa_messages_received_total{result="dropped",type="binary"} 0`,
		`stoa_messages_received_total{result="handled",type="text"} 0`,
		`stoa_handlers_total{kind="accept",result="ok"} 0`,
		`stoa_handlers_total{kind="native",result="panic"} 0`,
		`stoa_handlers_running 0`,
		`stoa_limits_exceeded_total{limit="rooms"} 0`,
		`stoa_frames_per_write_bucket{le="256"} 0`,
		`stoa_loop_lag_seconds_count 0`,
		`stoa_draining 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	for _, no := range []string{`"unknown"`, `kind="none"`} {
		if strings.Contains(got, no) {
			t.Errorf("a label has the value %s", no)
		}
	}
}

// Operators read the catalog in the package comment.
func TestCatalogIsComplete(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^//\t(stoa_[a-z_]+) +(gauge|counter|histogram) `)
	documented := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(string(doc), -1) {
		documented[match[1]] = match[2]
	}
	gatherers := prometheus.Gatherers{newRegistry(t, populated(t)), newBrokerRegistry(t, populatedBroker(t)), newAuthRegistry(t)}
	families, err := gatherers.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		kind := strings.ToLower(family.GetType().String())
		if documented[family.GetName()] != kind {
			t.Errorf("%s %s: documented as %q", family.GetName(), kind, documented[family.GetName()])
		}
		delete(documented, family.GetName())
	}
	for name := range documented {
		t.Errorf("%s is documented and does not exist", name)
	}
}

// Every limit in docs/limits.md has a metric, and the metric exists with its
// label.
func TestLimitsHaveMetrics(t *testing.T) {
	page, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	lines, rows := allSeries(t), 0
	for row := range strings.Lines(string(page)) {
		columns := strings.Split(strings.TrimSpace(row), " | ")
		if len(columns) != 5 || strings.HasPrefix(row, "| key ") {
			continue
		}
		rows++
		checkMetrics(t, lines, columns[4])
	}
	if rows < 40 {
		t.Errorf("%d limits in the tables, want at least 40", rows)
	}
}

// docs/operating.md names a metric for each error that a client sees.
func TestRefusalsHaveMetrics(t *testing.T) {
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Refusals and their metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	lines, rows := allSeries(t), 0
	for row := range strings.Lines(section) {
		columns := strings.Split(strings.TrimSpace(row), " | ")
		if len(columns) != 2 || strings.HasPrefix(row, "| the client sees ") {
			continue
		}
		rows++
		checkMetrics(t, lines, columns[1])
	}
	if rows < 15 {
		t.Errorf("%d errors in the table, want at least 15", rows)
	}
}

// allSeries returns the lines of all metrics.
func allSeries(t *testing.T) []string {
	gatherers := prometheus.Gatherers{newRegistry(t, populated(t)), newBrokerRegistry(t, populatedBroker(t)), newAuthRegistry(t)}
	return strings.Split(string(exposition(t, gatherers)), "\n")
}

// seriesName matches a metric in a page, with its label if there is one.
var seriesName = regexp.MustCompile("`(stoa_[a-z_]+)({[^`]*})?`")

// checkMetrics reports an error unless the text names metrics, all of which
// exist with their labels.
func checkMetrics(t *testing.T, lines []string, text string) {
	t.Helper()
	names := seriesName.FindAllStringSubmatch(text, -1)
	if len(names) == 0 {
		t.Errorf("no metric: %s", text)
	}
	for _, name := range names {
		label := strings.Trim(name[2], "{}")
		if !slices.ContainsFunc(lines, func(line string) bool {
			return (strings.HasPrefix(line, name[1]+" ") || strings.HasPrefix(line, name[1]+"{") ||
				strings.HasPrefix(line, name[1]+"_bucket{")) && strings.Contains(line, label)
		}) {
			t.Errorf("%s does not exist", name[0])
		}
	}
}

func TestHandler(t *testing.T) {
	server := httptest.NewServer(metrics.Handler(fixed(populated(t)), build,
		metrics.NewBrokerCollector(fixedBroker(populatedBroker(t)))))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, want 200", response.StatusCode)
	}
	found := map[string]bool{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		found[name] = true
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"stoa_connections", "stoa_build_info", "stoa_known_nodes", "go_goroutines", "go_info", "process_start_time_seconds"} {
		if !found[want] {
			t.Errorf("%s is missing", want)
		}
	}
}

func newRegistry(t testing.TB, stats node.Stats) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(metrics.NewCollector(fixed(stats), build)); err != nil {
		t.Fatal(err)
	}
	return registry
}

func exposition(t testing.TB, gatherer prometheus.Gatherer) []byte {
	t.Helper()
	response := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}).ServeHTTP(response, request)
	if response.Code != http.StatusOK {
		t.Fatalf("status %d: %s", response.Code, response.Body)
	}
	return response.Body.Bytes()
}

// populated returns statistics in which every number differs from every other,
// so that the golden file shows a mix-up. It works by reflection: a field that
// is added to node.Stats gets a value here.
func populated(t testing.TB) node.Stats {
	t.Helper()
	var stats node.Stats
	next := uint64(100)
	fill(t, reflect.ValueOf(&stats).Elem(), &next)
	stats.Handshakes = counts(node.HandshakeResults(), &next)
	stats.ProxyErrors = counts(node.ProxyErrors(), &next)
	for frame := range stats.MessagesIn {
		stats.MessagesIn[frame] = counts(node.MessageResults(), &next)
	}
	stats.Renewals = counts(node.RenewalResults(), &next)
	stats.Handlers.Calls = make(map[node.HandlerKind]map[node.HandlerResult]uint64)
	for _, kind := range node.HandlerKinds() {
		stats.Handlers.Calls[kind] = counts(node.HandlerResults(), &next)
	}
	stats.RatesExceeded = counts(node.RateKinds(), &next)
	stats.LimitsExceeded = counts(node.LimitKinds(), &next)
	stats.FramesPerWrite.Buckets = buckets(len(node.FramesPerWriteBounds())+1, &next)
	stats.Lag.Buckets = buckets(len(node.LoopLagBounds())+1, &next)
	stats.UserRefusals = counts(node.UserRefusals(), &next)
	stats.Closes = map[node.CloseKey]uint64{
		{Code: "normal", Initiator: node.ByPeer}:       1,
		{Code: "going_away", Initiator: node.ByServer}: 2,
		{Code: "other", Initiator: node.ByPeer}:        3,
		{Code: "other", Initiator: node.ByServer}:      4,
	}
	stats.Denied = map[node.DeniedKey]uint64{
		{Namespace: "chat", Rule: node.RuleJoin}:        5,
		{Namespace: "chat", Rule: node.RuleRoomFull}:    6,
		{Namespace: "chat", Rule: node.RuleRoomName}:    7,
		{Namespace: "chat", Rule: node.RuleMessageSize}: 8,
	}
	return stats
}

// counts gives every key a number of its own.
func counts[K comparable](keys []K, next *uint64) map[K]uint64 {
	all := make(map[K]uint64, len(keys))
	for _, key := range keys {
		*next++
		all[key] = *next
	}
	return all
}

// buckets gives every bucket a number of its own.
func buckets(count int, next *uint64) []uint64 {
	all := make([]uint64, count)
	for i := range all {
		*next++
		all[i] = *next
	}
	return all
}

func fill(t testing.TB, v reflect.Value, next *uint64) {
	t.Helper()
	*next++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), next)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), next)
		}
	case reflect.Int:
		v.SetInt(int64(*next))
	case reflect.Uint64:
		v.SetUint(*next)
	case reflect.Float64:
		v.SetFloat(float64(*next) + 0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("must-not-be-shown")
	case reflect.Slice:
		// Histograms have one bucket more than bounds, and the bounds ascend.
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		if v.Type() == reflect.TypeFor[[]float64]() {
			v.SetLen(2)
		}
		for i := range v.Len() {
			fill(t, v.Index(i), next)
		}
	case reflect.Map:
	default:
		t.Fatalf("no value for a field of type %s", v.Type())
	}
}
