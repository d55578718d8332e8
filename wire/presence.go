package wire

import "encoding/json"

// PresenceQuery is the body of EventPresence, as JSON. The zero value asks for
// the first members.
type PresenceQuery struct {
	// Limit is how many members the client wants at most; 0 leaves the number
	// to the server, which may always return fewer. With a negative one it
	// wants their number only.
	Limit int `json:"limit,omitempty"`
	// After is PresencePage.Next of the page before.
	After string `json:"after,omitempty"`
}

// ParsePresenceQuery reads the body of EventPresence, which may be empty. The
// error is ErrInvalidPayload for anything else but a JSON object. Unknown
// members are ignored.
func ParsePresenceQuery(body []byte) (PresenceQuery, error) {
	var q PresenceQuery
	if len(body) == 0 {
		return q, nil
	}
	if body[0] != '{' || json.Unmarshal(body, &q) != nil {
		return PresenceQuery{}, ErrInvalidPayload
	}
	return q, nil
}

// PresenceMember is a user in a room, or a connection without a user.
type PresenceMember struct {
	// User is the ID of the user; empty for a connection without one, which has
	// its ID in Conn.
	User string `json:"user,omitempty"`
	Conn string `json:"conn,omitempty"`
	// Conns is how many connections of the user are in the room; 0 in
	// PresenceChange.Left, and if the last one has left so recently that this
	// was not shown.
	Conns int `json:"conns,omitempty"`
	// Info describes the user: JSON, nil if there is none.
	Info json.RawMessage `json:"info,omitempty"`
}

// PresencePage is the body of the answer to EventPresence, as JSON.
type PresencePage struct {
	// Members are in an order that does not change. Changes go on from them: to
	// have the roster, a client adds the members of the pages and of
	// PresenceChange.Joined, and deletes those of PresenceChange.Left.
	Members []PresenceMember `json:"members"`
	// Count is the number of all members of the room, a user once.
	Count int `json:"count"`
	// Next is PresenceQuery.After for the next page; empty after the last one.
	Next string `json:"next,omitempty"`
}

// PresenceChange is the body of the notice EventPresence, as JSON: the changes
// since the last one. Where the server shows numbers only, it has no members.
type PresenceChange struct {
	Joined []PresenceMember `json:"joined,omitempty"`
	Left   []PresenceMember `json:"left,omitempty"`
	Count  int              `json:"count"`
}
