// Package codec converts between the bodies of messages and Go values.
//
// A [Codec] is passed to the typed functions of package node and package
// client. Both take the same codecs, so one type describes a body on both ends.
// [JSON] is the codec of the TypeScript client; another format is a type with
// the two methods of Codec. The functions [Encode] and [Decode] name the event
// in their errors.
//
// The package imports the standard library only and has no state.
package codec
