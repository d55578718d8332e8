// Command private-messages passes messages from one user to another by name,
// and tells the sender whether they have arrived.
//
//	go run ./examples/private-messages -listen 127.0.0.1:8080
//
// A client connects to ws://127.0.0.1:8080/ws?user=ada and its namespace
// "private", handles the event "message", a JSON object with from and text, and
// answers it (neffos.reply) to confirm it. It asks "send" with a JSON object of
// to and text; the answer is the receiver's answer. "whisper" does the same in
// the other way; main.go compares the two.
package main
