// Package proxyconn reads the PROXY protocol in front of connections of package
// net. Every connection must begin with its header, and come from a proxy.
package proxyconn
