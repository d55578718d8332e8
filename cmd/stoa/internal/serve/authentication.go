package serve

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
)

// authentication verifies the keys and tokens of a configuration.
type authentication struct {
	services *auth.Keys // nil: no API keys
	tokens   *auth.JWT  // nil: no tokens
	required bool
}

// newAuthentication reads the keys, and starts to fetch the JWKS if there is
// one.
func newAuthentication(c *config.Config, logger *slog.Logger) (*authentication, error) {
	a := &authentication{required: c.Authenticated()}
	var err error
	if keys := c.APIKeys(); len(keys) > 0 {
		if a.services, err = auth.NewKeys(keys); err != nil {
			return nil, err
		}
	}
	if c.Auth.HasJWT() {
		if a.tokens, err = auth.NewJWT(c.JWT(logger)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// register registers the handlers, before the node starts.
func (a *authentication) register(server *node.Node) {
	if a.services != nil {
		server.OnAccept(a.services.Accept)
	}
	if a.tokens != nil { // it knows whether a token is required
		server.OnAccept(a.tokens.Accept)
		server.OnAuthenticate(a.tokens.Authenticate)
	} else if a.required {
		server.OnAccept(auth.RequireIdentity)
	}
}

// collectors returns the metrics.
func (a *authentication) collectors() []prometheus.Collector {
	var all []prometheus.Collector
	if a.services != nil {
		all = append(all, metrics.NewAuthCollector(a.services))
	}
	if a.tokens != nil {
		all = append(all, metrics.NewAuthCollector(a.tokens))
	}
	return all
}

// close ends the fetches of the JWKS.
func (a *authentication) close() {
	if a.tokens != nil {
		a.tokens.Close()
	}
}
