// Package api is the contract between Purser and its clients: the types that
// cross HTTP, and a client that speaks them.
//
// Nothing on the wire is a float. Amounts of credits are decimal texts with at
// most nine places, quantities decimal texts with at most six, instants
// RFC 3339 texts in UTC with at most nine fractional digits. What the types
// hold is the text as it came, so that nothing is rounded on the way; the
// methods of [Amount], [Quantity] and [Instant] turn it into exact numbers.
//
// The package imports only the standard library, so that it can be used
// outside of Purser. The tags of the fields describe them in the server's
// OpenAPI document.
package api

// List is one page of a listing. NextCursor is null on the last page.
type List[T any] struct {
	Items      []T     `json:"items" doc:"The items of this page, in a stable order."`
	NextCursor *string `json:"next_cursor" doc:"Where the next page begins; null on the last one, and only there: a page may have fewer items than its limit, or none."`
}

// Page asks for one page of a listing.
type Page struct {
	Limit  int    `query:"limit" doc:"How many items at most." default:"50" minimum:"1" maximum:"200"`
	Cursor string `query:"cursor" doc:"The next_cursor of the page before." maxLength:"500"`
}

// Limits of requests, which the server enforces and the tags below repeat.
const (
	MaxPage  = 200    // items on a page
	MaxBatch = 10_000 // usage events in a batch
	MaxItems = 100    // items of a flow
)
