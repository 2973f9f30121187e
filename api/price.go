package api

// Prices is what everything costs at an instant.
type Prices struct {
	Card        string  `json:"card" example:"default"`
	Version     int     `json:"version"`
	EffectiveAt Instant `json:"effective_at" format:"date-time"`
	AsOf        Instant `json:"as_of" format:"date-time"`
	Items       []Price `json:"items"`
}

// Price is one SKU of a rate card.
type Price struct {
	SKU         string            `json:"sku" minLength:"1" maxLength:"100" pattern:"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$" example:"gpu.h100"`
	Unit        string            `json:"unit" enum:"hour,gib_hour,gib_month,gib,million,each"`
	Prices      map[string]Amount `json:"prices" doc:"By tier: spot, on-demand, reserved. Credits per unit."`
	Description string            `json:"description,omitempty" maxLength:"500"`
}

// PriceQuery asks for prices.
type PriceQuery struct {
	Card string  `query:"card" maxLength:"63" doc:"default if missing."`
	At   Instant `query:"at" doc:"Now if missing."`
}

// NewRateCard makes the next version of a rate card.
type NewRateCard struct {
	SKUs        []Price `json:"skus" minItems:"1" maxItems:"10000" doc:"All of them: what is not named is no longer sold."`
	EffectiveAt Instant `json:"effective_at,omitempty" format:"date-time" doc:"Now if missing; never in the past."`
}

// RateCard is one version of a price list.
type RateCard struct {
	Name        string  `json:"name"`
	Version     int     `json:"version"`
	EffectiveAt Instant `json:"effective_at" format:"date-time"`
	CreatedAt   Instant `json:"created_at" format:"date-time"`
	SKUs        []Price `json:"skus"`
}

// RateCardQuery asks for a version of a rate card.
type RateCardQuery struct {
	Version int     `query:"version" minimum:"0" doc:"The one in force if missing."`
	At      Instant `query:"at" doc:"The one in force then."`
}

// Clock is the clock of a server that was started with a test clock.
type Clock struct {
	Now Instant `json:"now" format:"date-time"`
}

// Advance moves a test clock on: by some seconds, or to an instant.
type Advance struct {
	BySeconds string  `json:"by_seconds,omitempty" maxLength:"40" doc:"Seconds as decimal text with at most nine places." example:"3600"`
	To        Instant `json:"to,omitempty" format:"date-time"`
}
