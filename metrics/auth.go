package metrics

import "github.com/prometheus/client_golang/prometheus"

// NewAuthCollector returns a collector for an authenticator that reports
// figures, *auth.JWT or *auth.Keys. It is not registered, and is safe for
// concurrent use if source is. One of each type can be registered.
func NewAuthCollector(source BrokerSource) prometheus.Collector { return &brokerCollector{source} }
