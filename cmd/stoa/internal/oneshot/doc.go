// Package oneshot holds the client commands that send one message: "stoa emit"
// (emit.go) and "stoa ask" (ask.go).
//
// Both connect in one attempt and do not reconnect. Emit returns after the
// server has confirmed the message. Ask prints the body of the answer
// unchanged, for scripts; on a terminal it quotes invisible characters.
package oneshot
