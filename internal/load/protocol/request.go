package protocol

// Namespace is the namespace of stoa's demo configuration.
const Namespace = "default"

// The events of a load. Relayed messages use EventMessage; a server with
// handlers handles the others.
const (
	EventMessage = "bench"
	EventEcho    = "echo"    // an ask, answered with its body
	EventCount   = "count"   // an emit, counted
	EventCounted = "counted" // an ask, answered with the number of counted emits
)

// EmptyAnswer follows the token in the positive answer to a system request.
const EmptyAnswer = ";;;;;;"

// CountedRequest asks how many emits the server has counted. The answer is
// CountedRequest followed by the number.
const CountedRequest = "3;" + Namespace + ";;" + EventCounted + ";0;0;"

// ConnectRequest returns the request to connect to Namespace.
func ConnectRequest(token string) string {
	return token + ";" + Namespace + ";;_OnNamespaceConnect;0;0;"
}

// JoinRequest returns the request to join a room.
func JoinRequest(token, room string) string {
	return token + ";" + Namespace + ";" + room + ";_OnRoomJoin;0;0;"
}

// LeaveRequest returns the request to leave a room.
func LeaveRequest(token, room string) string {
	return token + ";" + Namespace + ";" + room + ";_OnRoomLeave;0;0;"
}

// PositiveAnswer returns the one positive answer to a system request.
func PositiveAnswer(token string) string { return token + EmptyAnswer }
