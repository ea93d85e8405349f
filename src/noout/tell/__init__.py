"""What people are told: the technician's checklist, and each customer's report as a document model. Pure."""
