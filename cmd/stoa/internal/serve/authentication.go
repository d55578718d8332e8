package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
)

// authentication verifies the keys and tokens of a configuration.
type authentication struct {
	log   *slog.Logger
	state atomic.Pointer[verifiers]
}

// verifiers are those in force. They are immutable.
type verifiers struct {
	services *auth.Keys // nil: no API keys
	tokens   *auth.JWT  // nil: no tokens
	required bool
}

// newAuthentication reads the keys, and starts to fetch the JWKS if there is
// one.
func newAuthentication(c *config.Config, logger *slog.Logger) (*authentication, error) {
	a := &authentication{log: logger}
	a.state.Store(new(verifiers))
	replace, err := a.prepare(c)
	if err != nil {
		return nil, err
	}
	return a, replace()
}

// prepare reads the keys of another configuration. The function that it returns
// puts them in force, and fails only after close. A request that is being
// decided on keeps the verifiers that it began with.
func (a *authentication) prepare(c *config.Config) (replace func() error, err error) {
	now := *a.state.Load()
	next := verifiers{required: c.Authenticated()}
	var errs []error
	if keys := c.APIKeys(); len(keys) > 0 {
		// The one in force keeps its counters.
		if next.services, err = auth.NewKeys(keys); err == nil && now.services != nil {
			next.services = now.services
		}
		errs = append(errs, err)
	}
	replaceTokens := func() error { return nil }
	if c.Auth.HasJWT() {
		if next.tokens = now.tokens; next.tokens != nil {
			replaceTokens, err = next.tokens.Prepare(c.JWT(a.log))
		} else {
			next.tokens, err = auth.NewJWT(c.JWT(a.log))
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		if next.tokens != nil && next.tokens != now.tokens {
			next.tokens.Close()
		}
		return nil, err
	}
	return func() error {
		if next.services != nil {
			errs = append(errs, next.services.Replace(c.APIKeys()))
		}
		errs = append(errs, replaceTokens())
		a.state.Store(&next)
		if now.tokens != nil && next.tokens == nil {
			now.tokens.Close()
		}
		return errors.Join(errs...)
	}, nil
}

// register registers the handlers, before the node starts. Without keys and
// tokens there are none, so that an upgrade costs no goroutine; a reload cannot
// add some then.
func (a *authentication) register(server *node.Node) {
	if s := a.state.Load(); s.services == nil && s.tokens == nil {
		return
	}
	server.OnAccept(func(ctx context.Context, request *node.Accept) error { return a.state.Load().accept(ctx, request) })
	server.OnAuthenticate(func(ctx context.Context, request *node.AuthenticateRequest) (access.Identity, error) {
		if tokens := a.state.Load().tokens; tokens != nil {
			return tokens.Authenticate(ctx, request)
		}
		return access.Identity{}, errors.New("there are no tokens")
	})
}

// accept is a node.AcceptHandler.
func (v *verifiers) accept(ctx context.Context, request *node.Accept) error {
	if v.services != nil {
		if err := v.services.Accept(ctx, request); err != nil {
			return err
		}
	}
	switch {
	case v.tokens != nil: // it knows whether a token is required
		return v.tokens.Accept(ctx, request)
	case v.required:
		return auth.RequireIdentity(ctx, request)
	}
	return nil
}

// Describe implements prometheus.Collector. The metrics are those of the
// verifiers in force, so there is no fixed list.
func (a *authentication) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (a *authentication) Collect(out chan<- prometheus.Metric) {
	s := a.state.Load()
	if s.services != nil {
		metrics.NewAuthCollector(s.services).Collect(out)
	}
	if s.tokens != nil {
		metrics.NewAuthCollector(s.tokens).Collect(out)
	}
}

// close ends the fetches of the JWKS.
func (a *authentication) close() {
	if tokens := a.state.Load().tokens; tokens != nil {
		tokens.Close()
	}
}
