// Package clustertest holds what every broker must pass, and a broker with faults.
//
// Run is the contract of cluster.Broker as tests. A broker's own tests call it with
// a factory that makes the brokers of one new cluster: one for a broker that lives
// in a single process, two or more for one whose nodes meet on a server. Every
// check runs on a cluster of its own.
//
//	func TestConformance(t *testing.T) {
//		clustertest.Run(t, func(testing.TB) []cluster.Broker {
//			return []cluster.Broker{cluster.NewMemory(cluster.MemoryConfig{})}
//		})
//	}
//
// That something is not delivered can only be checked up to a moment: the suite
// sends a message behind it, on the same channel where possible, and waits for
// that. What a broker does when its server fails is not part of the suite.
//
// Faulty wraps a broker and makes its calls fail, wait or lose their answer, for
// tests of what stands on top of a broker. It never answers at once, even if the
// wrapped broker could.
package clustertest
