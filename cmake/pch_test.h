// Precompiled for the tests.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pch_core.h"
