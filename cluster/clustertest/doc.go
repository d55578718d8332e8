// Package clustertest tests brokers against the contract of package cluster.
//
// [Run] is the contract of cluster.Broker as tests. A broker's own tests call
// it with a factory that makes the brokers of one new cluster: one broker if it
// lives in a single process, two or more if the nodes meet on a server. Every
// check runs on its own cluster.
//
//	func TestConformance(t *testing.T) {
//		clustertest.Run(t, func(testing.TB) []cluster.Broker {
//			return []cluster.Broker{cluster.NewMemory(cluster.MemoryConfig{})}
//		})
//	}
//
// To check that a message is not delivered, the suite sends a later message, on
// the same channel where possible, and waits for its delivery. The suite does
// not cover a failing server.
//
// [Faulty] wraps a broker and makes its calls fail, wait or lose their answer,
// for tests of code that uses a broker. It never subscribes immediately, even
// if the wrapped broker could. The package imports cluster and the standard
// library.
package clustertest
