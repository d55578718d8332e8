// Package session holds the rules of the message protocol.
package session
