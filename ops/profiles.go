package ops

import (
	"fmt"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"
)

// The time of a recorded profile in seconds, without the parameter "seconds"
// and at most.
const (
	defaultProfileSeconds = 30
	maxProfileSeconds     = 60
)

// serveProfile serves what "go tool pprof" and "go tool trace" read. Package
// net/http/pprof would add its pages to http.DefaultServeMux, which an
// application may serve to everyone, and show the command line, in which there
// may be passwords.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/debug/pprof/")
	switch name {
	case "":
		text := "profile?seconds=30\ntrace?seconds=1\n"
		for _, p := range pprof.Profiles() {
			text += fmt.Sprintf("%s?debug=1 (%d)\n", p.Name(), p.Count())
		}
		writeText(w, http.StatusOK, text)
		return
	case "profile":
		record(w, r, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
		return
	case "trace":
		record(w, r, func() error { return trace.Start(w) }, trace.Stop)
		return
	}
	profile := pprof.Lookup(name)
	if profile == nil {
		writeText(w, http.StatusNotFound, "unknown profile\n")
		return
	}
	debug, err := strconv.Atoi(r.FormValue("debug"))
	if err != nil || debug <= 0 {
		debug = 0
		asDownload(w, name)
	} else {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// A write fails only if the client has closed the connection.
	_ = profile.WriteTo(w, debug)
}

// record records from start to stop for as long as the request says, or until
// its client has closed the connection.
func record(w http.ResponseWriter, r *http.Request, start func() error, stop func()) {
	seconds := defaultProfileSeconds
	if text := r.FormValue("seconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 1 || seconds > maxProfileSeconds {
			writeText(w, http.StatusBadRequest, fmt.Sprintf("seconds: want 1 to %d\n", maxProfileSeconds))
			return
		}
	}
	duration := time.Duration(seconds) * time.Second
	// The server's own deadline may be earlier. One that has none does not
	// need this.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(duration + time.Minute))
	asDownload(w, "profile")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := start(); err != nil {
		w.Header().Del("Content-Disposition")
		writeText(w, http.StatusServiceUnavailable, err.Error()+"\n") // another one is being recorded
		return
	}
	defer stop()
	select {
	case <-time.After(duration):
	case <-r.Context().Done():
	}
}

func asDownload(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
}
