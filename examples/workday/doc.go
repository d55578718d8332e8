// Command workday tells whether a day is a working day, and asks back when it
// does not understand.
//
//	go run ./examples/workday -listen 127.0.0.1:8080
//
// Clients connect to the namespace "default" and ask "workday" with a date such
// as 2026-07-14. If the body is no date, the server asks the client "which day"
// while the client still waits for its answer. The ask "days" takes and returns
// JSON: {"from":"2026-07-13","to":"2026-07-19"} is answered with
// {"work":5,"off":2}. A client that emits "hello" is asked for its "name" and
// greeted with "welcome".
package main
