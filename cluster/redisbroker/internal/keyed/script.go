package keyed

import (
	"encoding/binary"

	"github.com/stoa-io/stoa/cluster"
)

const (
	// HashKey and OrderKey are the classes of the keys.
	HashKey  = "k:"
	OrderKey = "ko:"

	timeDigits = 16
	sizeDigits = 10
)

// Script stores a message. Its keys are the hash, the order, and, for a message
// that is published once, the key of its ID, without whose value nothing
// happens. The arguments are those of Message.Arguments, and that value.
//
// It drops the oldest messages that exceed the number of keys or the bytes, a
// few at a time: readers know the limits, too. Without a time, the hash is new.
// A field that the order lacks shows that the order was lost.
//
// The server reads the text each time, so it is short.
const Script = `local h,z,f,n=KEYS[1],KEYS[2],ARGV[1],tonumber
local c=redis.call
if KEYS[3] and c('GET',KEYS[3])~=ARGV[11] then return 0 end
local v=c('HMGET',h,f,'t','b',ARGV[4])
if ARGV[6]=='1' and v[4] and n(v[4])>=n(ARGV[5]) then return 0 end
local t=c('TIME')
t=t[1]*1000000+t[2]
if v[2] then t=math.max(t,v[2]+1) end
local function size(x) return x and n(string.sub(x,17,26)) or 0 end
local b=(v[3] or 0)+ARGV[3]-size(v[1])
local function put()
c('HSET',h,f,string.format('%016.0f%010d',t,ARGV[3])..ARGV[2],'t',t,'b',b,ARGV[4],ARGV[5])
return c('ZADD',z,t,f)
end
if not v[2] then c('DEL',z) end
local new=put()==1
if new and v[1] then
c('DEL',h,z)
b=n(ARGV[3])
put()
end
local k=new and c('ZCARD',z) or 0
for i=1,64 do
if k<=n(ARGV[7]) and b<=n(ARGV[8]) then break end
local o=c('ZPOPMIN',z)[1]
if not o then break end
b=b-size(c('HGET',h,o))
c('HDEL',h,o)
c('HSET',h,'b',b)
k=k-1
end
if not v[4] and c('HLEN',h)-c('ZCARD',z)>258 then
for _,x in ipairs(c('HKEYS',h)) do
if string.sub(x,1,1)=='i' and x~=ARGV[4] then c('HDEL',h,x) end
end
end
if ARGV[9]=='1' or not v[2] or new and v[1] then
c('PEXPIRE',h,ARGV[10])
c('PEXPIRE',z,ARGV[10])
end
return 1`

// RemovalScript removes the message of a field, if it has the time of the
// arguments. Its keys are the hash and the order.
const RemovalScript = `local value=redis.call('HGET',KEYS[1],ARGV[1])
if not value or string.sub(value,1,16)~=ARGV[2] then return 0 end
redis.call('HINCRBY',KEYS[1],'b',-tonumber(string.sub(value,17,26)))
redis.call('HDEL',KEYS[1],ARGV[1])
redis.call('ZREM',KEYS[2],ARGV[1])
return 1`

// Message is the part of a queued message that makes it the newest of its key.
type Message struct {
	Key      string
	Size     int // of the payload
	Position cluster.Position
}

// Overhead is the memory for a message in addition to that of the queue.
const Overhead = 96

// Arguments appends those of Script. data is the envelope. The keys live for
// life, in milliseconds, if they are new, or renew is true.
func (m *Message) Arguments(args []any, data any, again bool, r *cluster.Retention, renew bool, life int64) []any {
	return append(args, "k"+m.Key, data, m.Size, m.origin(), m.Position.Number, flag(again),
		r.Keys, r.Bytes, flag(renew), life)
}

func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

// origin is the field of the message's incarnation.
func (m *Message) origin() string {
	return string(binary.BigEndian.AppendUint64([]byte{'i'}, m.Position.Incarnation))
}
