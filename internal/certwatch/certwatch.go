package certwatch

import (
	"crypto/tls"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// checkInterval is how often the files are checked, at most. A handshake costs
// more than a check, but a flood of handshakes must not become a flood of
// system calls.
const checkInterval = time.Second

// Files is a certificate that is read again when its files change. It is safe
// for concurrent use.
type Files struct {
	paths    [2]string    // immutable; of the certificate and the key
	log      *slog.Logger // immutable
	failures atomic.Uint64
	current  atomic.Pointer[tls.Certificate]
	checking sync.Mutex // held while the files are checked

	checked time.Time    // guarded by checking
	read    [2]fileState // guarded by checking; the files when they were last read
}

// fileState tells whether a file has changed.
type fileState struct {
	info fs.FileInfo
	err  error
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	return fileState{info, err}
}

// same compares more than the time: files that are put in place by renaming may
// be older than those before.
func (s fileState) same(other fileState) bool {
	if s.err != nil || other.err != nil {
		return s.err != nil && other.err != nil && s.err.Error() == other.err.Error()
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

// Open reads the files, which hold a certificate chain and its key in PEM. The
// error is that of [tls.LoadX509KeyPair]. log receives later failures.
func Open(certFile, keyFile string, log *slog.Logger) (*Files, error) {
	f := &Files{paths: [2]string{certFile, keyFile}, log: log, checked: time.Now()}
	if err := f.load(f.states()); err != nil {
		return nil, err
	}
	return f, nil
}

// Failures counts the changes that left nothing to use.
func (f *Files) Failures() uint64 { return f.failures.Load() }

func (f *Files) states() [2]fileState {
	return [2]fileState{stateOf(f.paths[0]), stateOf(f.paths[1])}
}

// load reads the files. The states were taken before, so a change in between is
// noticed the next time.
func (f *Files) load(states [2]fileState) error {
	f.read = states
	pair, err := tls.LoadX509KeyPair(f.paths[0], f.paths[1])
	if err != nil {
		return err
	}
	f.current.Store(&pair)
	return nil
}

// GetCertificate is for [tls.Config.GetCertificate]. A file system that hangs
// blocks one handshake and no other.
func (f *Files) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f.checking.TryLock() {
		f.check()
		f.checking.Unlock()
	}
	return f.current.Load(), nil
}

// check reads the files again if they have changed.
func (f *Files) check() {
	if time.Since(f.checked) < checkInterval {
		return
	}
	f.checked = time.Now()
	states := f.states()
	if states[0].same(f.read[0]) && states[1].same(f.read[1]) {
		return
	}
	if err := f.load(states); err != nil {
		f.failures.Add(1)
		f.log.Warn("the changed certificate is unusable; the previous one stays", "error", err)
		return
	}
	f.log.Info("certificate reloaded", "expires", f.current.Load().Leaf.NotAfter)
}
