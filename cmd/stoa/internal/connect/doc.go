// Package connect is "stoa connect", the interactive client.
//
// A conversation (conversation.go) owns the connection. It runs typed commands
// (commands.go, parsed by parse.go) and shows every event of the connection as
// a record (record.go) through a printer. A record becomes a line of text
// (format_text.go) or of JSON (format_json.go).
//
// Commands come from a terminal, with an editable line (editor.go), completion
// (complete.go) and history (history.go), or from standard input, one per line.
//
// # Goroutines
//
// One goroutine runs the commands, another one reads them. The handlers of
// package client run on a third, one at a time, so records appear in the order
// of events. A command that changes a membership waits until the change was
// shown.
package connect
