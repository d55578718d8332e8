package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// PEMPair is a certificate for itself, and its key, in PEM.
func PEMPair(tb testing.TB, serial int64) (cert, key []byte) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"stoa.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// ReplaceFile puts a file in place as a renewal does: whole, under the old name.
func ReplaceFile(tb testing.TB, path string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

// certificateBench is a node's certificate and what it says about it.
type certificateBench struct {
	*certificateFiles
	cert, key string
	log       bytes.Buffer
}

func newCertificateBench(tb testing.TB) *certificateBench {
	tb.Helper()
	b := &certificateBench{cert: filepath.Join(tb.TempDir(), "cert.pem"), key: filepath.Join(tb.TempDir(), "key.pem")}
	b.put(tb, 1)
	var err error
	n := &Node{log: slog.New(slog.NewTextHandler(&b.log, nil))}
	if b.certificateFiles, err = openCertificate(n, b.cert, b.key); err != nil {
		tb.Fatal(err)
	}
	return b
}

func (b *certificateBench) put(tb testing.TB, serial int64) {
	cert, key := PEMPair(tb, serial)
	ReplaceFile(tb, b.cert, cert)
	ReplaceFile(tb, b.key, key)
}

// serial is that of the certificate of the next handshake, a while later if due.
func (b *certificateBench) serial(tb testing.TB, due bool) int64 {
	tb.Helper()
	b.checked = time.Now().Add(time.Hour)
	if due {
		b.checked = time.Time{}
	}
	pair, err := b.certificate(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return pair.Leaf.SerialNumber.Int64()
}

// expect compares the next handshakes' certificate, and what was said so far.
func (b *certificateBench) expect(tb testing.TB, serial int64, reloads, failures int) {
	tb.Helper()
	for range 3 { // what was said about a change is not said again
		if got := b.serial(tb, true); got != serial {
			tb.Errorf("certificate %d is used, want %d", got, serial)
		}
	}
	said := b.log.String()
	if got := strings.Count(said, "was read again"); got != reloads {
		tb.Errorf("%d reloads were logged, want %d:\n%s", got, reloads, said)
	}
	if got := strings.Count(said, "level=WARN"); got != failures || b.node.certificateErrors.Load() != uint64(failures) {
		tb.Errorf("%d failures were logged and %d counted, want %d:\n%s", got, b.node.certificateErrors.Load(), failures, said)
	}
}

func TestCertificateFiles(t *testing.T) {
	t.Run("unchanged", func(t *testing.T) {
		b := newCertificateBench(t)
		b.expect(t, 1, 0, 0)
	})
	t.Run("looked at once in a while", func(t *testing.T) {
		b := newCertificateBench(t)
		b.put(t, 2)
		if got := b.serial(t, false); got != 1 {
			t.Errorf("certificate %d is used before the files are due, want 1", got)
		}
		b.expect(t, 2, 1, 0)
	})
	t.Run("somebody else is looking", func(t *testing.T) {
		b := newCertificateBench(t)
		b.put(t, 2)
		b.checking.Lock()
		if got := b.serial(t, true); got != 1 {
			t.Errorf("certificate %d is used, want 1", got)
		}
		b.checking.Unlock()
		b.expect(t, 2, 1, 0)
	})
	t.Run("half a renewal", func(t *testing.T) {
		b := newCertificateBench(t)
		cert, key := PEMPair(t, 2)
		ReplaceFile(t, b.cert, cert)
		b.expect(t, 1, 0, 1)
		ReplaceFile(t, b.key, key)
		b.expect(t, 2, 1, 1)
	})
	t.Run("no certificate any more", func(t *testing.T) {
		b := newCertificateBench(t)
		if err := os.Remove(b.cert); err != nil {
			t.Fatal(err)
		}
		b.expect(t, 1, 0, 1)
		b.put(t, 2)
		b.expect(t, 2, 1, 1)
	})
	t.Run("one bad pair after another", func(t *testing.T) {
		b := newCertificateBench(t)
		ReplaceFile(t, b.key, []byte("no key"))
		b.expect(t, 1, 0, 1)
		ReplaceFile(t, b.key, []byte("no key again"))
		b.expect(t, 1, 0, 2)
	})
	t.Run("an older file of the same size", func(t *testing.T) {
		b := newCertificateBench(t)
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
		b := newCertificateBench(t)
		cert, key := PEMPair(t, 2)
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
