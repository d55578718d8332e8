// Command notes is a board of notes that several people write at once. It keeps
// no state: the board is the history of its room.
//
//	go run ./examples/notes -listen 127.0.0.1:8080
//
// Open the address that it prints, http://127.0.0.1:8080/, in two tabs. Each visitor chooses a name, and the
// part of the URL after the # is the name of the board.
//
// The namespace is "board", a room is a board, and clients dial with ?name=Ada.
// A note is an event "note" with the JSON object {"id", "text", "by"}. A later
// one with the same ID is a new version. The ask "remove" with {"id"} removes a
// note from the history, and with {"id", "keep"} its versions before the
// position keep. The event "editing" with {"id", "by"} reports that a member is
// changing a note; it is kept nowhere.
package main
