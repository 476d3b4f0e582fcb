-- The test provider adds up what of a payment went back.
CREATE INDEX test_objects_refunds ON test_objects (parent) WHERE kind = 'refund';
