package node

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificateCheck is how often the files are looked at, at most: a handshake
// costs more than a look, but a flood of them should not become one of system
// calls.
const certificateCheck = time.Second

// certificateFiles is a certificate that is read again when its files change.
type certificateFiles struct {
	node     *Node     // immutable
	paths    [2]string // immutable; of the certificate and the key
	current  atomic.Pointer[tls.Certificate]
	checking sync.Mutex // held while the files are looked at

	checked time.Time    // guarded by checking
	read    [2]fileState // guarded by checking; the files as they were when last read
}

// fileState is what tells that a file has changed.
type fileState struct {
	info fs.FileInfo
	err  error
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	return fileState{info, err}
}

// same compares more than the time: files that are put in place by renaming may be
// older than those before.
func (s fileState) same(other fileState) bool {
	if s.err != nil || other.err != nil {
		return s.err != nil && other.err != nil && s.err.Error() == other.err.Error()
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

// openCertificate reads the files for the first time.
func openCertificate(n *Node, certFile, keyFile string) (*certificateFiles, error) {
	f := &certificateFiles{node: n, paths: [2]string{certFile, keyFile}, checked: time.Now()}
	if err := f.load(f.states()); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *certificateFiles) states() [2]fileState {
	return [2]fileState{stateOf(f.paths[0]), stateOf(f.paths[1])}
}

// load reads the files. The states were taken before, so that a change in between
// is seen the next time.
func (f *certificateFiles) load(states [2]fileState) error {
	f.read = states
	pair, err := tls.LoadX509KeyPair(f.paths[0], f.paths[1])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	f.current.Store(&pair)
	return nil
}

// certificate is for tls.Config.GetCertificate. A file system that hangs holds up
// one handshake and not the others.
func (f *certificateFiles) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f.checking.TryLock() {
		f.check()
		f.checking.Unlock()
	}
	return f.current.Load(), nil
}

// check reads the files again if they have changed.
func (f *certificateFiles) check() {
	if time.Since(f.checked) < certificateCheck {
		return
	}
	f.checked = time.Now()
	states := f.states()
	if states[0].same(f.read[0]) && states[1].same(f.read[1]) {
		return
	}
	if err := f.load(states); err != nil {
		f.node.certificateErrors.Add(1)
		f.node.log.Warn("the certificate has changed and cannot be used: the one before stays", logError, err)
		return
	}
	f.node.log.Info("the certificate was read again", logExpires, f.current.Load().Leaf.NotAfter)
}
