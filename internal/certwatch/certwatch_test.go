package certwatch

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
)

// bench holds the files of a certificate, which it changes, and the log.
type bench struct {
	*Files
	cert, key string
	log       bytes.Buffer
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{cert: filepath.Join(tb.TempDir(), "cert.pem"), key: filepath.Join(tb.TempDir(), "key.pem")}
	b.put(tb, 1)
	var err error
	if b.Files, err = Open(b.cert, b.key, slog.New(slog.NewTextHandler(&b.log, nil))); err != nil {
		tb.Fatal(err)
	}
	return b
}

func (b *bench) put(tb testing.TB, serial int64) {
	tb.Helper()
	cert, key := testkit.PEMPair(tb, serial)
	testkit.ReplaceFile(tb, b.cert, cert)
	testkit.ReplaceFile(tb, b.key, key)
}

// serial returns the serial number of the next handshake's certificate. due:
// the last check of the files is long enough ago.
func (b *bench) serial(tb testing.TB, due bool) int64 {
	tb.Helper()
	b.checked = time.Now().Add(time.Hour)
	if due {
		b.checked = time.Time{}
	}
	pair, err := b.GetCertificate(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return pair.Leaf.SerialNumber.Int64()
}

// expect compares the certificate of the next handshakes, and the log so far.
func (b *bench) expect(tb testing.TB, serial int64, reloads, failures int) {
	tb.Helper()
	for range 3 { // a change is logged once
		if got := b.serial(tb, true); got != serial {
			tb.Errorf("certificate %d is used, want %d", got, serial)
		}
	}
	logged := b.log.String()
	if got := strings.Count(logged, "certificate reloaded"); got != reloads {
		tb.Errorf("%d reloads were logged, want %d:\n%s", got, reloads, logged)
	}
	if got := strings.Count(logged, "level=WARN"); got != failures || b.Failures() != uint64(failures) {
		tb.Errorf("%d failures were logged and %d counted, want %d:\n%s", got, b.Failures(), failures, logged)
	}
}

func TestFiles(t *testing.T) {
	t.Run("unchanged", func(t *testing.T) {
		b := newBench(t)
		b.expect(t, 1, 0, 0)
	})
	t.Run("checked after an interval", func(t *testing.T) {
		b := newBench(t)
		b.put(t, 2)
		if got := b.serial(t, false); got != 1 {
			t.Errorf("certificate %d is used before the files are due, want 1", got)
		}
		b.expect(t, 2, 1, 0)
	})
	t.Run("another handshake checks", func(t *testing.T) {
		b := newBench(t)
		b.put(t, 2)
		b.checking.Lock()
		if got := b.serial(t, true); got != 1 {
			t.Errorf("certificate %d is used, want 1", got)
		}
		b.checking.Unlock()
		b.expect(t, 2, 1, 0)
	})
	t.Run("half a renewal", func(t *testing.T) {
		b := newBench(t)
		cert, key := testkit.PEMPair(t, 2)
		testkit.ReplaceFile(t, b.cert, cert)
		b.expect(t, 1, 0, 1)
		testkit.ReplaceFile(t, b.key, key)
		b.expect(t, 2, 1, 1)
	})
	t.Run("removed certificate", func(t *testing.T) {
		b := newBench(t)
		if err := os.Remove(b.cert); err != nil {
			t.Fatal(err)
		}
		b.expect(t, 1, 0, 1)
		b.put(t, 2)
		b.expect(t, 2, 1, 1)
	})
	t.Run("one bad pair after another", func(t *testing.T) {
		b := newBench(t)
		testkit.ReplaceFile(t, b.key, []byte("no key"))
		b.expect(t, 1, 0, 1)
		testkit.ReplaceFile(t, b.key, []byte("no key again"))
		b.expect(t, 1, 0, 2)
	})
	t.Run("a directory in place of the key", func(t *testing.T) {
		b := newBench(t)
		if err := errors.Join(os.Remove(b.key), os.Mkdir(b.key, 0o700)); err != nil {
			t.Fatal(err)
		}
		b.expect(t, 1, 0, 1)
	})
	t.Run("a large file", func(t *testing.T) {
		b := newBench(t)
		testkit.ReplaceFile(t, b.key, make([]byte, 2<<20))
		b.expect(t, 1, 0, 1)
	})
}

// A file system that does not answer delays one handshake, and the next ones
// get the certificate at once.
func TestFilesThatHang(t *testing.T) {
	b := newBench(t)
	release := make(chan struct{})
	b.timeout, b.readFile = time.Millisecond, func(path string) ([]byte, error) {
		<-release
		return os.ReadFile(path)
	}
	b.put(t, 2)
	if got := b.serial(t, true); got != 1 || b.Failures() != 1 {
		t.Errorf("certificate %d is used and %d failures were counted, want 1 and 1", got, b.Failures())
	}
	for range 100 {
		if pair, err := b.GetCertificate(nil); err != nil || pair.Leaf.SerialNumber.Int64() != 1 {
			t.Fatalf("got certificate %v, %v, want the first", pair, err)
		}
	}
	close(release)
	b.checking.Lock() // the check has ended
	defer b.checking.Unlock()
	if got := b.current.Load().Leaf.SerialNumber.Int64(); got != 2 || b.Failures() != 1 {
		t.Errorf("certificate %d is used and %d failures were counted, want 2 and 1", got, b.Failures())
	}
}

// TestFilesOfOddTimes changes the files in ways that their times alone do not
// show.
func TestFilesOfOddTimes(t *testing.T) {
	t.Run("an older file of the same size", func(t *testing.T) {
		b := newBench(t)
		before, err := os.Stat(b.cert)
		if err != nil {
			t.Fatal(err)
		}
		b.put(t, 2)
		for _, path := range []string{b.cert, b.key} {
			if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
				t.Fatal(err)
			}
		}
		b.expect(t, 2, 1, 0)
	})
	t.Run("written in place", func(t *testing.T) {
		b := newBench(t)
		cert, key := testkit.PEMPair(t, 2)
		for path, content := range map[string][]byte{b.cert: cert, b.key: key} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			// A file system may keep the time in coarse steps.
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		b.expect(t, 2, 1, 0)
	})
}
