// Package clustertest holds what every broker must pass.
package clustertest
