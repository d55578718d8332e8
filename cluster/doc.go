// Package cluster carries messages between the nodes of a cluster.
package cluster
