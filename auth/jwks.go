package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// maxWaiting bounds the requests that wait for a fetch. More are clients that
// make up IDs of keys.
const maxWaiting = 1024

// maxRedirects of one fetch.
const maxRedirects = 3

// retryDelay is the delay after a failed fetch; it doubles with each further
// one, up to JWKS.Refresh.
const retryDelay = time.Second

// remote holds the keys of a JWKS. Its goroutine fetches them regularly, and on
// demand for tokens whose key is unknown. A fetch that fails, or finds no key,
// leaves the keys unchanged.
type remote struct {
	config   JWKS
	shown    string // the URL for the log
	log      *slog.Logger
	counters *jwksCounters

	// keys are those of the last good fetch; empty at first, never nil.
	keys atomic.Pointer[keySet]

	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	ended  chan struct{}
	demand chan struct{} // capacity 1

	mu       sync.Mutex    // guards the following
	started  uint64        // fetches
	finished uint64        // the number of the last finished fetch
	err      error         // of the last finished fetch
	fetched  chan struct{} // closed after the next fetch
	waiting  int
}

// jwksCounters count the fetches of all JWKS that a JWT has had.
type jwksCounters struct {
	fetched, failed atomic.Uint64
}

func startRemote(config JWKS, log *slog.Logger, counters *jwksCounters) *remote {
	address, _ := url.Parse(config.URL) // validate has parsed it
	r := &remote{config: config, shown: redacted(address), log: log, counters: counters,
		ended: make(chan struct{}), demand: make(chan struct{}, 1), fetched: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.keys.Store(newKeySet(nil))
	r.config.Client = r.client()
	go r.run()
	return r
}

// client returns the HTTP client of the configuration with the rules for
// addresses. The caller's own is not changed.
func (r *remote) client() *http.Client {
	client := http.Client{}
	if r.config.Client != nil {
		client = *r.config.Client
	}
	client.Timeout = r.config.Timeout
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		if !r.config.allows(next.URL) {
			return errors.New("a redirect to an address without https")
		}
		return nil
	}
	return &client
}

// stop ends the goroutine and returns when it has ended.
func (r *remote) stop() {
	r.cancel()
	<-r.ended
}

// run fetches the keys until stop.
func (r *remote) run() {
	defer close(r.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	var last time.Time
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-timer.C:
		case <-r.demand:
			if !r.pause(r.config.Cooldown - time.Since(last)) {
				return
			}
		}
		last = time.Now()
		if r.refresh() == nil {
			failures = 0
			// Nodes that were started together do not fetch together.
			timer.Reset(r.config.Refresh - rand.N(r.config.Refresh/8+1))
			continue
		}
		timer.Reset(min(r.config.Refresh, max(retryDelay<<min(failures, 20), r.config.Cooldown)))
		failures++
	}
}

// pause waits, and reports false if the goroutine has to end.
func (r *remote) pause(delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// refresh fetches the keys once and wakes the waiting requests.
func (r *remote) refresh() error {
	r.mu.Lock()
	r.started++
	number, previous := r.started, r.err
	r.mu.Unlock()
	select {
	case <-r.demand: // this fetch meets it, unless it arrives later
	default:
	}
	keys, skipped, err := r.fetch()
	if err == nil {
		r.counters.fetched.Add(1)
		r.keys.Store(newKeySet(keys))
	} else if r.ctx.Err() == nil {
		r.counters.failed.Add(1)
	}
	r.report(number, previous, err, skipped)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished, r.err = number, err
	close(r.fetched)
	r.fetched = make(chan struct{})
	return err
}

// report logs a change. A fault that lasts is logged once.
func (r *remote) report(number uint64, previous, err error, skipped []error) {
	switch {
	case r.ctx.Err() != nil:
	case err != nil && (previous == nil || previous.Error() != err.Error()):
		r.log.Warn("JWKS fetch failed; known keys stay valid", logURL, r.shown, logError, err.Error(), logKeys, len(r.keys.Load().all))
	case err == nil && (previous != nil || number == 1):
		r.log.Info("JWKS fetched", logURL, r.shown, logKeys, len(r.keys.Load().all))
	}
	if fault := errors.Join(skipped...); fault != nil && err == nil {
		r.log.Warn("JWKS has unusable keys", logURL, r.shown, logError, fault.Error())
	}
}

// fetch returns the keys of the JWKS.
func (r *remote) fetch() (keys []verifier, skipped []error, err error) {
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.config.URL, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	// A cached answer may be older than the key in question.
	request.Header.Set("Cache-Control", "no-cache")
	response, err := r.config.Client.Do(request)
	if err != nil {
		var address *url.Error
		if errors.As(err, &address) {
			err = address.Err // without the URL
		}
		return nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("answered with status %d", response.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, r.config.MaxSize+1))
	if err != nil {
		return nil, nil, errors.New("the answer is cut off")
	}
	if int64(len(content)) > r.config.MaxSize {
		return nil, nil, fmt.Errorf("the answer has more than %d bytes", r.config.MaxSize)
	}
	keys, skipped, err = parseJWKs(content, false)
	if err == nil && len(keys) == 0 {
		err = errors.Join(skipped...)
	}
	return keys, skipped, err
}

// isUp reports whether the last fetch was good.
func (r *remote) isUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.finished > 0 && r.err == nil
}

// await waits until found reports true after a fetch, or until a fetch that
// started after the call has ended. It returns an *Error if that fetch has
// failed, so that the keys may be old.
func (r *remote) await(ctx context.Context, found func() bool) error {
	unavailable := &Error{Result: ResultKeysUnavailable}
	r.mu.Lock()
	if r.waiting == maxWaiting {
		r.mu.Unlock()
		return unavailable
	}
	r.waiting++
	wanted := r.started + 1
	defer func() {
		r.waiting--
		r.mu.Unlock()
	}()
	for {
		fetched, done, failed := r.fetched, r.finished >= wanted, r.err != nil
		r.mu.Unlock()
		ended := false
		isFound := found()
		if !isFound && !done {
			ended = !r.awaitFetch(ctx, fetched)
		}
		r.mu.Lock()
		switch {
		case isFound, done && !failed:
			return nil
		case done, ended:
			return unavailable
		}
	}
}

// awaitFetch demands a fetch and waits until one has ended. It reports false if
// ctx or the goroutine ended before.
func (r *remote) awaitFetch(ctx context.Context, fetched <-chan struct{}) bool {
	select {
	case r.demand <- struct{}{}:
	default: // demanded already
	}
	select {
	case <-fetched:
		return true
	case <-ctx.Done():
		return false
	case <-r.ctx.Done():
		return false
	}
}
