package usage

import "github.com/purserhq/purser/internal/wallet"

// PostingsShown is what each kind of posting is in the statement.
func PostingsShown() map[wallet.PostingKind]ActivityKind { return kinds }
