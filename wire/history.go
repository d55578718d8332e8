package wire

import "encoding/json"

// HistoryQuery is the body of EventHistory, as JSON. The zero value asks for
// the newest messages, as many as the server chooses.
type HistoryQuery struct {
	// Limit is how many messages the client wants at most; 0 leaves the number
	// to the server, which may always return fewer.
	Limit int `json:"limit,omitempty"`
	// Before and After are positions: the page has messages before the one and
	// after the other only.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Oldest asks for the oldest of these messages in place of the newest.
	Oldest bool `json:"oldest,omitempty"`
}

// ParseHistoryQuery reads the body of EventHistory, which may be empty. The
// error is ErrInvalidPayload for anything else but a JSON object, and for
// values that are out of range. Unknown members are ignored.
func ParseHistoryQuery(body []byte) (HistoryQuery, error) {
	var q HistoryQuery
	if len(body) == 0 {
		return q, nil
	}
	if body[0] != '{' || json.Unmarshal(body, &q) != nil || q.Limit < 0 || !IsPosition(q.Before) || !IsPosition(q.After) {
		return HistoryQuery{}, ErrInvalidPayload
	}
	return q, nil
}

// HistoryPage is the body of the answer to EventHistory, as JSON.
type HistoryPage struct {
	// Entries are the messages in the order of the room, the oldest first.
	Entries []HistoryEntry `json:"entries"`
	// More reports that only the limit has kept further messages out of the
	// page: older ones, or with HistoryQuery.Oldest newer ones.
	More bool `json:"more"`
	// Found reports that no message is missing between the positions of the
	// query and the page, but for the limit. It is true without positions, and
	// false if the history does not reach back to one of them.
	Found bool `json:"found"`
}

// HistoryEntry is a message in a room's history.
type HistoryEntry struct {
	Position string `json:"position"`
	// Time is when the message was kept, in milliseconds since 1970 UTC.
	Time  int64  `json:"time"`
	Event string `json:"event"`
	// Body is that of a message in a text frame, Binary that of one in a binary
	// frame, where it is not nil. In JSON it is in base64.
	Body   string `json:"body,omitempty"`
	Binary []byte `json:"binary,omitzero"`
	// User is the user ID of the sender, empty if it had none.
	User string `json:"user,omitempty"`
}
