package clustertest_test

import (
	"sync"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
)

func TestFaultyWithoutFaults(t *testing.T) {
	clustertest.Run(t, func(testing.TB) []cluster.Broker {
		return []cluster.Broker{clustertest.NewFaulty(cluster.NewMemory(cluster.MemoryConfig{}))}
	})
}

// linked is one of several brokers that share one order, which is the least
// that the suite needs for a cluster of several nodes.
type linked struct {
	cluster.Broker
	order *sync.Mutex
	all   *[]*linked
}

func (l *linked) Publish(channel string, env *cluster.Envelope) error {
	l.order.Lock()
	defer l.order.Unlock()
	if err := l.Broker.Publish(channel, env); err != nil {
		return err
	}
	for _, other := range *l.all {
		if other == l {
			continue
		}
		// A node that has not started misses the message; the other nodes
		// receive it.
		_ = other.Broker.Publish(channel, env)
	}
	return nil
}

func TestSuiteWithSeveralBrokers(t *testing.T) {
	clustertest.Run(t, func(testing.TB) []cluster.Broker {
		var order sync.Mutex
		var all []*linked
		var brokers []cluster.Broker
		for range 3 {
			l := &linked{Broker: cluster.NewMemory(cluster.MemoryConfig{}), order: &order, all: &all}
			all = append(all, l)
			brokers = append(brokers, l)
		}
		return brokers
	})
}
