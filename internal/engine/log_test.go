package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A flood of different origins neither floods the log nor the memory.
func TestRefusalWarningsAreBounded(t *testing.T) {
	var r refusals
	now := time.Now()
	logged := 0
	warn := func(subject string) bool {
		may := r.mayWarn(subject, now)
		if may {
			logged++
		}
		return may
	}
	if !warn("a") || warn("a") || !warn("b") {
		t.Error("want one warning for each subject")
	}
	for i := range 10_000 {
		warn(fmt.Sprint(i))
	}
	if logged != maxRefusalLines {
		t.Errorf("%d warnings in a moment, want %d", logged, maxRefusalLines)
	}
	for i := range 1000 {
		now = now.Add(refusalPeriod)
		if warn("a") && i == 0 {
			t.Error("a known subject was logged again")
		}
		if !warn(fmt.Sprint("minute", i)) {
			t.Errorf("the warning of minute %d is missing", i)
		}
	}
	if len(r.known) > maxRefusalsKnown {
		t.Errorf("%d subjects are known, want at most %d", len(r.known), maxRefusalsKnown)
	}
}

func TestPrintable(t *testing.T) {
	for field, want := range map[string]string{
		"https://a.test":          "https://a.test",
		"a\nlevel=ERROR":          `"a\nlevel=ERROR"`,
		"ϟ\x1b":                   `"\u03df\x1b"`,
		strings.Repeat("x", 1000): strings.Repeat("x", maxRefusalText),
	} {
		if got := printable([]byte(field)); got != want {
			t.Errorf("printable(%q) = %q, want %q", field, got, want)
		}
	}
}
