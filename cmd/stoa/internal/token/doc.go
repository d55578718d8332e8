// Package token holds "stoa token": it makes JSON Web Tokens for development
// (new.go), and explains them (show.go).
//
// Both use package auth, so that a token that is made has the claims that a
// node expects, and a shown one is checked as a node would check it.
package token
