// Package client is the Go client of Stoa nodes, and of neffos servers.
package client
