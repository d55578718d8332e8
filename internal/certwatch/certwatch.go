package certwatch

import (
	"crypto/tls"
	"errors"
	"fmt"
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

// readTimeout is how long the files may take. It is shorter than the usual time
// for a handshake, so the client that waits for a check still gets through.
const readTimeout = 5 * time.Second

// Files is a certificate that is read again when its files change. It is safe
// for concurrent use.
type Files struct {
	paths    [2]string    // immutable; of the certificate and the key
	log      *slog.Logger // immutable
	failures atomic.Uint64
	current  atomic.Pointer[tls.Certificate]
	checking sync.Mutex // held while the files are checked, also after the timeout

	// Immutable, changed by tests.
	timeout  time.Duration
	readFile func(path string) ([]byte, error)

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

// Open reads the files, which hold a certificate chain and its key in PEM. They
// must be regular files of at most 1 MiB, and links to such. log receives later
// failures.
func Open(certFile, keyFile string, log *slog.Logger) (*Files, error) {
	f := &Files{
		paths: [2]string{certFile, keyFile}, log: log, checked: time.Now(),
		timeout: readTimeout, readFile: ReadRegular,
	}
	var err error
	f.checking.Lock()
	if !f.inTime(func() { err = f.load(f.states()) }) {
		return nil, f.slow()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Reopen is Open with the log and the failures of f, which stays as it is.
func (f *Files) Reopen(certFile, keyFile string) (*Files, error) {
	next, err := Open(certFile, keyFile, f.log)
	if err != nil {
		return nil, err
	}
	next.failures.Store(f.Failures())
	return next, nil
}

// inTime runs a function that reads the files, waits for its end for as long as
// the files may take, and reports whether it has ended. The caller holds
// checking, which is released when the function ends: while a file system
// hangs, only this one goroutine does.
func (f *Files) inTime(read func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.checking.Unlock()
		read()
	}()
	timer := time.NewTimer(f.timeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func (f *Files) slow() error {
	return fmt.Errorf("reading %s and %s takes longer than %s", f.paths[0], f.paths[1], f.timeout)
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
	cert, certErr := f.readFile(f.paths[0])
	key, keyErr := f.readFile(f.paths[1])
	if err := errors.Join(certErr, keyErr); err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	f.current.Store(&pair)
	return nil
}

// GetCertificate is for [tls.Config.GetCertificate]. A file system that hangs
// delays one handshake by the timeout, and no other.
func (f *Files) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f.checking.TryLock() && !f.inTime(f.check) {
		f.failed(f.slow())
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
		f.failed(err)
		return
	}
	f.log.Info("certificate reloaded", "expires", f.current.Load().Leaf.NotAfter)
}

func (f *Files) failed(err error) {
	f.failures.Add(1)
	f.log.Warn("the changed certificate is unusable; the previous one stays", "error", err)
}
