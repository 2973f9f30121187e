-- The charges of a flow of which something was given back.
CREATE INDEX charges_refunded ON charges (organization, workspace, flow) WHERE refunded <> 0;
