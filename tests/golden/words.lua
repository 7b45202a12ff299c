-- Writes the words of each line `filter lua.words NUMBER ...` as HAProxy has read them, in hex.
-- It runs while HAProxy starts; at the line `filter lua.words end` HAProxy ends.
local Words = {id = "words", flags = filter.FLT_CFG_FL_HTX}
Words.__index = Words

function Words:new()
    return setmetatable({}, Words)
end

core.register_filter("words", Words, function(_, arguments)
    if arguments[1] == "end" then
        io.stdout:flush()
        os.exit(0)
    end
    local row = {}
    for _, word in ipairs(arguments) do
        row[#row + 1] = word:gsub(".", function(byte) return string.format("%02x", byte:byte()) end)
    end
    io.stdout:write(table.concat(row, " "), "\n")
    return {}
end)
